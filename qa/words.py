"""Every word, once, in order? A transcript laid over its text, word by word.

Both sides are normalised (`qa.text`) and aligned by minimal edit distance; stretches that differ
only in how words are divided ("for ever", "forever") count as right. Errors belong to the sentence
they fall in, so that two readings of one text can be compared by a paired bootstrap.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rapidfuzz.distance import Levenshtein

from qa.places import Misheard, Stretch
from qa.recognisers import Transcript
from qa.text import PlainWord, plain_words, printed_words, sentences

MISSING_SHARE = 0.8
"""A sentence is missing when at least this share of its words was not heard."""

SHORTEST_RUN = 3
"""Fewer words than this are ordinary deletions or insertions, neither a missing sentence nor a
double."""


class Kind(StrEnum):
    """What happened to a word."""

    HIT = "hit"
    SUBSTITUTION = "substitution"
    DELETION = "deletion"
    INSERTION = "insertion"


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """One step of the alignment.

    Attributes
    ----------
    kind : what happened
    expected : comparison form of the text's word, "" for an insertion
    heard : comparison form of the transcript's word, "" for a deletion
    sentence : index of the sentence it belongs to (an insertion: that of the word before it)
    source : index of the printed word in the whole text, -1 for an insertion
    heard_source : index of the transcript's word, -1 for a deletion
    start_s, end_s : when it was heard; for a deletion the time between the words heard before and after
    """

    kind: Kind
    expected: str
    heard: str
    sentence: int
    source: int
    heard_source: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Word errors against a number of expected words."""

    words: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def errors(self) -> int:
        """All errors."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Word error rate; errors where nothing was expected count as if against one word."""
        return self.errors / max(1, self.words)


@dataclass(frozen=True, slots=True)
class WordReport:
    """How a transcript keeps to its text.

    Attributes
    ----------
    alignment : every word in order
    total : errors over the whole text
    by_sentence : errors of each sentence of the text, in its order
    sentences : the sentences themselves
    missing : sentences of which at least `MISSING_SHARE` was not heard
    doubled : runs heard again right after or before they were due
    """

    alignment: tuple[AlignedWord, ...]
    total: ErrorCount
    by_sentence: tuple[ErrorCount, ...]
    sentences: tuple[str, ...]
    missing: tuple[Stretch, ...]
    doubled: tuple[Stretch, ...]

    @property
    def missing_or_doubled_per_10k_words(self) -> float:
        """Sentences missing or doubled per ten thousand words of text."""
        return (len(self.missing) + len(self.doubled)) * 10_000 / max(1, self.total.words)


@dataclass(frozen=True, slots=True)
class _Heard:
    text: str
    source: int
    start_s: float
    end_s: float


def _heard_words(transcript: Transcript, text: Sequence[str]) -> list[_Heard]:
    plain = plain_words([w.text for w in transcript.words], text)
    return [
        _Heard(
            p.text, p.source, transcript.words[p.source].start_s, transcript.words[p.source].end_s
        )
        for p in plain
    ]


def _divided_alike(expected: Sequence[str], heard: Sequence[str]) -> bool:
    return "".join(expected) == "".join(heard)


def _blocks(expected: Sequence[str], heard: Sequence[str]) -> list[tuple[bool, int, int, int, int]]:
    """Stretches (equal?, expected start, end, heard start, end) of the alignment, in order."""
    merged: list[tuple[bool, int, int, int, int]] = []
    for op in Levenshtein.opcodes(expected, heard):
        equal = op.tag == "equal"
        if merged and merged[-1][0] == equal:
            last = merged.pop()
            merged.append((equal, last[1], op.src_end, last[3], op.dest_end))
        else:
            merged.append((equal, op.src_start, op.src_end, op.dest_start, op.dest_end))
    return merged


def _steps(expected: Sequence[str], heard: Sequence[str]) -> list[tuple[Kind, int, int]]:
    """Alignment as (kind, expected index or -1, heard index or -1)."""
    steps: list[tuple[Kind, int, int]] = []
    for equal, i0, i1, j0, j1 in _blocks(expected, heard):
        if equal:
            steps += [(Kind.HIT, i0 + k, j0 + k) for k in range(i1 - i0)]
        elif _divided_alike(expected[i0:i1], heard[j0:j1]):
            last = j1 - 1
            steps += [(Kind.HIT, i, min(j0 + k, last)) for k, i in enumerate(range(i0, i1))]
        else:
            steps += _unequal(expected, heard, (i0, i1, j0, j1))
    return steps


def _unequal(
    expected: Sequence[str], heard: Sequence[str], block: tuple[int, int, int, int]
) -> list[tuple[Kind, int, int]]:
    """Pair the words of an unequal stretch so that those that look alike stand together."""
    i0, i1, j0, j1 = block
    n, m = i1 - i0, j1 - j0
    if n == 0 or m == 0 or n == m:
        paired = min(n, m)
        steps = [(Kind.SUBSTITUTION, i0 + k, j0 + k) for k in range(paired)]
        steps += [(Kind.DELETION, i, -1) for i in range(i0 + paired, i1)]
        return steps + [(Kind.INSERTION, -1, j) for j in range(j0 + paired, j1)]
    best = _best_pairs(expected[i0:i1], heard[j0:j1])
    steps = []
    i, j = i0, j0
    for pi, pj in [*best, (n, m)]:
        steps += [(Kind.DELETION, k, -1) for k in range(i, i0 + pi)]
        steps += [(Kind.INSERTION, -1, k) for k in range(j, j0 + pj)]
        if pi < n and pj < m:
            steps.append((Kind.SUBSTITUTION, i0 + pi, j0 + pj))
        i, j = i0 + pi + 1, j0 + pj + 1
    return steps


def _best_pairs(expected: Sequence[str], heard: Sequence[str]) -> list[tuple[int, int]]:
    """Pair the words of the shorter side with those of the longer most alike in spelling."""
    swap = len(expected) > len(heard)
    short, long = (heard, expected) if swap else (expected, heard)
    n, m = len(short), len(long)
    cost = [[0.0] * (m + 1)] + [[float("inf")] * (m + 1) for _ in range(n)]
    for a in range(1, n + 1):
        for b in range(a, m + 1):
            pair = cost[a - 1][b - 1] + Levenshtein.normalized_distance(short[a - 1], long[b - 1])
            cost[a][b] = min(pair, cost[a][b - 1])
    pairs: list[tuple[int, int]] = []
    a, b = n, m
    while a:
        if b > a and cost[a][b] == cost[a][b - 1]:
            b -= 1
            continue
        a, b = a - 1, b - 1
        pairs.append((b, a) if swap else (a, b))
    return pairs[::-1]


def _expected_words(
    parts: Sequence[str], heard: Sequence[str]
) -> tuple[list[PlainWord], list[int]]:
    """Comparison words of the whole text and the sentence of each."""
    words: list[PlainWord] = []
    owner: list[int] = []
    printed = 0
    for index, part in enumerate(parts):
        tokens = printed_words(part)
        plain = plain_words(tokens, heard)
        words += [PlainWord(w.text, w.source + printed) for w in plain]
        owner += [index] * len(plain)
        printed += len(tokens)
    return words, owner


def compare(text: str | Sequence[str], transcript: Transcript) -> WordReport:
    """Lay a transcript over the text it should be.

    Parameters
    ----------
    text : the text as printed, or its sentences
    transcript : what a recogniser heard in the reading of the whole text
    """
    parts = sentences(text) if isinstance(text, str) else list(text)
    rough = [w.text for w in plain_words([w.text for w in transcript.words])]
    expected, owner = _expected_words(parts, rough)
    heard = _heard_words(transcript, [w.text for w in expected])
    e, h = [w.text for w in expected], [w.text for w in heard]
    alignment = _timed(_steps(e, h), expected, owner, heard)
    by_sentence = _count_by_sentence(alignment, len(parts))
    return WordReport(
        alignment=tuple(alignment),
        total=_sum(by_sentence),
        by_sentence=tuple(by_sentence),
        sentences=tuple(parts),
        missing=tuple(_missing(alignment, parts, by_sentence)),
        doubled=tuple(_doubled(alignment)),
    )


def _timed(
    steps: Sequence[tuple[Kind, int, int]],
    expected: Sequence[PlainWord],
    owner: Sequence[int],
    heard: Sequence[_Heard],
) -> list[AlignedWord]:
    aligned: list[AlignedWord] = []
    sentence, clock_s = 0, 0.0
    for kind, i, j in steps:
        sentence = owner[i] if i >= 0 else sentence
        start_s, end_s = (heard[j].start_s, heard[j].end_s) if j >= 0 else (clock_s, clock_s)
        clock_s = end_s
        aligned.append(
            AlignedWord(
                kind,
                expected[i].text if i >= 0 else "",
                heard[j].text if j >= 0 else "",
                sentence,
                expected[i].source if i >= 0 else -1,
                heard[j].source if j >= 0 else -1,
                start_s,
                end_s,
            )
        )
    return _gaps_filled(aligned)


def _gaps_filled(aligned: Sequence[AlignedWord]) -> list[AlignedWord]:
    """Let deletions last until the next word that was heard."""
    filled: list[AlignedWord] = []
    next_s: float | None = None
    for word in reversed(aligned):
        if word.kind is not Kind.DELETION:
            next_s = word.start_s
        elif next_s is not None:
            word = replace(word, end_s=max(word.start_s, next_s))
        filled.append(word)
    return filled[::-1]


def _count_by_sentence(alignment: Sequence[AlignedWord], n: int) -> list[ErrorCount]:
    counts = [[0, 0, 0, 0] for _ in range(n)]
    column = {Kind.SUBSTITUTION: 1, Kind.DELETION: 2, Kind.INSERTION: 3}
    for word in alignment:
        row = counts[word.sentence] if n else [0, 0, 0, 0]
        row[0] += word.kind is not Kind.INSERTION
        if word.kind in column:
            row[column[word.kind]] += 1
    return [ErrorCount(*row) for row in counts]


def _sum(counts: Sequence[ErrorCount]) -> ErrorCount:
    return ErrorCount(
        sum(c.words for c in counts),
        sum(c.substitutions for c in counts),
        sum(c.deletions for c in counts),
        sum(c.insertions for c in counts),
    )


def _missing(
    alignment: Sequence[AlignedWord], parts: Sequence[str], counts: Sequence[ErrorCount]
) -> list[Stretch]:
    gone = {
        i
        for i, c in enumerate(counts)
        if c.deletions >= SHORTEST_RUN and c.deletions >= MISSING_SHARE * c.words
    }
    where: dict[int, list[AlignedWord]] = {i: [] for i in gone}
    for word in alignment:
        if word.sentence in gone:
            where[word.sentence].append(word)
    return [
        Stretch(i, parts[i], min(w.start_s for w in where[i]), max(w.end_s for w in where[i]))
        for i in sorted(gone)
    ]


def _doubled(alignment: Sequence[AlignedWord]) -> list[Stretch]:
    """Find places with added words that some run of the text explains if it was read twice."""
    found: list[Stretch] = []
    start = 0
    while start < len(alignment):
        if alignment[start].kind is Kind.HIT:
            start += 1
            continue
        end = start
        while end < len(alignment) and alignment[end].kind is not Kind.HIT:
            end += 1
        heard = [w for w in alignment[start:end] if w.heard]
        added = len(heard) - sum(bool(w.expected) for w in alignment[start:end])
        if added >= SHORTEST_RUN and _is_read_twice(alignment, start, end, added):
            text = " ".join(w.heard for w in heard)
            found.append(Stretch(heard[0].sentence, text, heard[0].start_s, heard[-1].end_s))
        start = end
    return found


def _is_read_twice(alignment: Sequence[AlignedWord], start: int, end: int, added: int) -> bool:
    """Tell whether the text around a place, with one run of it doubled, is about what was heard.

    Compared letter by letter, since a name is seldom heard alike twice; a run may begin and end within a
    sentence, since the alignment may set a double apart anywhere.
    """
    before, inside, after = (
        [w.expected for w in alignment[max(0, first) : last] if w.expected]
        for first, last in ((start - added - 2, start), (start, end), (end, end + added + 2))
    )
    text = [*before, *inside, *after]
    heard = "".join([*before, *(w.heard for w in alignment[start:end]), *after])
    for run in range(max(SHORTEST_RUN, added - 1), added + 3):
        for at in range(run, len(text) + 1):
            twice = text[at - run : at]
            whole = "".join([*text[:at], *twice, *text[at:]])
            most = round((1 - MISSING_SHARE) * len("".join(twice)))
            if Levenshtein.distance(whole, heard, score_cutoff=most) <= most:
                return True
    return False


def count_misheard(report: WordReport) -> list[Misheard]:
    """Count the words of a chapter that were heard as one other word, for `qa.places.learn_confusions`."""
    places: dict[tuple[str, str], set[int]] = defaultdict(set)
    for word in report.alignment:
        if word.kind is Kind.SUBSTITUTION:
            places[word.expected, word.heard].add(word.sentence)
    stands = Counter(word.expected for word in report.alignment if word.expected)
    return [Misheard(e, h, len(where), stands[e]) for (e, h), where in sorted(places.items())]
