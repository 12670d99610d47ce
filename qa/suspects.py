"""Tell the narrator's word errors from the recogniser's.

A recogniser of 3 % word errors cries wolf thirty times in a thousand words. So each place where transcript
and text part is weighed: the text's words are put in place of the heard ones, and Whisper says how much
the sound supports either (`qa.recognisers.evidence`). Where the text is supported nearly as well, it was
read. What is left is heard a second time, cut otherwise, and words left out are looked for in time: speech
that was passed over takes time, words that were not said take none.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rapidfuzz.distance import Levenshtein

from qa.audio import Audio
from qa.phones import phones
from qa.places import Suspect
from qa.rate import expected_s, pace
from qa.recognisers import Transcript, evidence, hear_again
from qa.signal import Pause, pauses, stretch
from qa.text import printed_words
from qa.words import SHORTEST_RUN, AlignedWord, Kind, WordReport, compare

_BATCH = 6  # texts weighed at once
_LEAST_DOUBT_NATS = 4.0  # below it the text is supported as well as what was heard
_AGAIN_S = 4.0  # heard again from so long before to so long after
_CONTEXT = 12  # words either side that a second hearing is laid over
_LEAST_LEFT_OUT = 4  # fewer words take too little time to be missed
_AROUND = 4  # words either side whose time is taken with that of the words left out


@dataclass(frozen=True, slots=True)
class _Region:
    """A run of errors: steps `start` to `end` of the alignment.

    `cut` is the cut it was heard in, `place` where its words belong in the transcript.
    """

    words: tuple[AlignedWord, ...]
    cut: int
    place: int
    start: int
    end: int

    @property
    def sources(self) -> list[int]:
        """Printed words concerned."""
        return sorted({w.source for w in self.words if w.source >= 0})

    @property
    def heard_sources(self) -> set[int]:
        """Transcript words concerned."""
        return {w.heard_source for w in self.words if w.heard_source >= 0}


def _cuts_of_words(transcript: Transcript) -> list[int]:
    """Index of the cut that each transcript word was heard in."""
    ends = [end for _, end in transcript.cuts]
    last = max(0, len(ends) - 1)
    return [min(last, bisect_right(ends, (w.start_s + w.end_s) / 2)) for w in transcript.words]


def _whole(alignment: Sequence[AlignedWord], start: int, end: int) -> tuple[int, int]:
    """Widen a run of steps until it splits no printed and no transcript word."""

    def shared(a: AlignedWord, b: AlignedWord) -> bool:
        return a.source == b.source >= 0 or a.heard_source == b.heard_source >= 0

    while start > 0 and shared(alignment[start - 1], alignment[start]):
        start -= 1
    while end < len(alignment) and shared(alignment[end - 1], alignment[end]):
        end += 1
    return start, end


def _regions(alignment: Sequence[AlignedWord], cuts: Sequence[int]) -> list[_Region]:
    """Find runs of errors, none of them over two cuts."""
    regions: list[_Region] = []
    at, cut, place = 0, 0, 0
    while at < len(alignment):
        word = alignment[at]
        cut = cuts[word.heard_source] if word.heard_source >= 0 else cut
        if word.kind is Kind.HIT:
            at, place = at + 1, word.heard_source + 1
            continue
        end = at + 1
        while end < len(alignment) and alignment[end].kind is not Kind.HIT:
            following = alignment[end].heard_source
            if following >= 0 and cuts[following] != cut:
                break
            end += 1
        start, end = _whole(alignment, at, end)
        region = _Region(tuple(alignment[start:end]), cut, place, start, end)
        heard = region.heard_sources
        regions.append(replace(region, place=min(heard)) if heard else region)
        at, place = end, max(heard) + 1 if heard else place
    return regions


def _variant(
    region: _Region, inside: Sequence[int], heard: Sequence[str], text: Sequence[str]
) -> str:
    """Transcript of one cut with the text's words in place of the heard ones.

    `inside` are the transcript words of the cut, which need not be that of the region: words that were
    not heard at the end of one cut may have been said at the beginning of the next.
    """
    gone = region.heard_sources
    before = [heard[i] for i in inside if i < region.place and i not in gone]
    after = [heard[i] for i in inside if i >= region.place and i not in gone]
    return " ".join([*before, *(text[i] for i in region.sources), *after])


def _doubts(cut_audio: Audio, as_heard: str, variants: Sequence[str], threads: int) -> list[float]:
    """How much more the sound of a cut supports what was heard than each variant, in nats."""
    doubts: list[float] = []
    for first in range(0, len(variants), _BATCH):
        texts = [as_heard, *variants[first : first + _BATCH]]
        heard, *others = evidence(cut_audio, texts, threads)
        doubts += [heard - other for other in others]
    return doubts


def weigh_errors(
    audio: Audio, report: WordReport, transcript: Transcript, threads: int = 1
) -> list[Suspect]:
    """Weigh every error of a report by the sound itself.

    Parameters
    ----------
    audio : the recording that was transcribed
    report : the transcript laid over its text
    transcript : what Whisper heard in it
    threads : CPU threads
    """
    cuts = _cuts_of_words(transcript)
    regions = _regions(report.alignment, cuts)
    text = [token for part in report.sentences for token in printed_words(part)]
    heard = [w.text for w in transcript.words]
    inside: dict[int, list[int]] = defaultdict(list)
    for index, cut in enumerate(cuts):
        inside[cut].append(index)
    doubts: dict[int, float] = {}
    by_cut: dict[int, list[int]] = defaultdict(list)
    for number, region in enumerate(regions):
        for cut in _possible_cuts(region, inside, len(transcript.cuts)):
            by_cut[cut].append(number)
    for cut, numbers in by_cut.items():
        start_s, end_s = transcript.cuts[cut]
        as_heard = " ".join(heard[i] for i in inside[cut])
        variants = [_variant(regions[n], inside[cut], heard, text) for n in numbers]
        weighed = _doubts(stretch(audio, start_s, end_s), as_heard, variants, threads)
        for number, doubt in zip(numbers, weighed, strict=True):
            doubts[number] = min(doubt, doubts.get(number, doubt))
    suspects = [_suspect(region, doubts.get(n, 0.0)) for n, region in enumerate(regions)]
    timed = _with_time(audio, report, transcript, regions, suspects)
    return _heard_twice(audio, report, text, regions, timed, threads)


def _with_time(
    audio: Audio,
    report: WordReport,
    transcript: Transcript,
    regions: Sequence[_Region],
    suspects: Sequence[Suspect],
) -> list[Suspect]:
    """Look for the time of words that were left out."""
    gone = [
        sum(w.kind is Kind.DELETION for w in region.words) >= _LEAST_LEFT_OUT for region in regions
    ]
    if not any(gone):
        return list(suspects)
    silences = pauses(audio)
    ratio = pace(transcript.words, silences, audio.duration_s)
    return [
        replace(suspect, unspoken_share=_unspoken_share(report, region, silences, ratio))
        if left_out
        else suspect
        for suspect, region, left_out in zip(suspects, regions, gone, strict=True)
    ]


def _unspoken_share(
    report: WordReport, region: _Region, silences: Sequence[Pause], ratio: float
) -> float | None:
    """Share of the expected time of the words left out that the words around them leave no room for.

    The recogniser spreads its times over what it passes over, so the time is taken from some words before
    to some words after.
    """
    before = [w for w in report.alignment[: region.start] if w.heard][-_AROUND:]
    after = [w for w in report.alignment[region.end :] if w.heard][:_AROUND]
    around = [*before, *after]
    if len(before) < 2 or len(after) < 2 or not ratio > 0:
        return None
    start_s, end_s = around[0].start_s, around[-1].end_s
    silent_s = sum(max(0.0, min(p.end_s, end_s) - max(p.start_s, start_s)) for p in silences)
    spoken_s = (end_s - start_s - silent_s) * ratio
    heard_s = expected_s([w.heard for w in (*around, *region.words) if w.heard])
    missing_s = expected_s([w.expected for w in region.words if w.kind is Kind.DELETION])
    return 1.0 - (spoken_s - heard_s) / max(missing_s, 0.1)


def _heard_twice(
    audio: Audio,
    report: WordReport,
    text: Sequence[str],
    regions: Sequence[_Region],
    suspects: Sequence[Suspect],
    threads: int,
) -> list[Suspect]:
    """Hear the doubtful places a second time, cut otherwise and with a beam."""
    doubtful = [n for n, suspect in enumerate(suspects) if _is_doubtful(suspect)]
    spans = [
        (
            max(0.0, suspects[n].start_s - _AGAIN_S),
            min(audio.duration_s, suspects[n].end_s + _AGAIN_S),
        )
        for n in doubtful
    ]
    heard = dict(
        zip(doubtful, hear_again(audio, [_at_most_28_s(s) for s in spans], threads), strict=True)
    )
    return [
        replace(suspect, confirmed=not _as_printed(report, text, regions[n], heard[n]))
        if n in heard
        else replace(suspect, confirmed=False)
        for n, suspect in enumerate(suspects)
    ]


def _is_doubtful(suspect: Suspect) -> bool:
    unspoken = suspect.unspoken_share is not None and suspect.unspoken_share > 0.0
    return suspect.doubt_nats > _LEAST_DOUBT_NATS or unspoken


def _at_most_28_s(span_s: tuple[float, float]) -> tuple[float, float]:
    return span_s[0], min(span_s[1], span_s[0] + 28.0)


def _as_printed(
    report: WordReport, text: Sequence[str], region: _Region, again: Transcript
) -> bool:
    """Tell whether a second hearing of a place has its words as printed."""
    start, end = region.start, region.end
    before = {w.source for w in report.alignment[max(0, start - _CONTEXT) : start] if w.source >= 0}
    after = {w.source for w in report.alignment[end : end + _CONTEXT] if w.source >= 0}
    inside = {w.source for w in region.words if w.source >= 0}
    printed = sorted(before | inside | after)
    second = compare([" ".join(text[k] for k in printed)], again).alignment
    kept = [k for k, word in enumerate(second) if word.kind is Kind.HIT]
    places = [
        k for k, word in enumerate(second) if word.source >= 0 and printed[word.source] in inside
    ]
    if not kept:
        return False
    added = sum(bool(w.heard) for w in region.words) - sum(bool(w.expected) for w in region.words)
    if added >= SHORTEST_RUN:  # read twice: either reading may be the one too many this time
        again_added = sum(w.kind is Kind.INSERTION for w in second[kept[0] : kept[-1]])
        return again_added < added / 2
    if not places:  # something was inserted: do its neighbours stand together this time?
        joint = [
            k
            for k, word in enumerate(second)
            if word.source >= 0 and printed[word.source] in before
        ]
        at = joint[-1] if joint else -1
        near = second[max(0, at) : at + 2]
        return len(near) == 2 and all(word.kind is Kind.HIT for word in near)
    return all(second[k].kind is Kind.HIT for k in range(places[0], places[-1] + 1))


def _possible_cuts(region: _Region, inside: dict[int, list[int]], n_cuts: int) -> list[int]:
    """Cuts in which the region's words may have been said."""
    if region.heard_sources or not inside[region.cut]:
        return [region.cut]
    at_end = region.place > inside[region.cut][-1]
    return [region.cut, region.cut + 1] if at_end and region.cut + 1 < n_cuts else [region.cut]


def _suspect(region: _Region, doubt_nats: float) -> Suspect:
    wrong = [w for w in region.words if w.kind is not Kind.HIT]
    expected = [w.expected for w in wrong if w.expected]
    heard = [w.heard for w in wrong if w.heard]
    return Suspect(
        expected=" ".join(expected),
        heard=" ".join(heard),
        sentence=wrong[0].sentence,
        start_s=min(w.start_s for w in wrong),
        end_s=max(w.end_s for w in wrong),
        doubt_nats=doubt_nats,
        phone_distance=Levenshtein.normalized_distance(_sound(expected), _sound(heard)),
    )


def _sound(words: Sequence[str]) -> list[str]:
    return [phone for word in words for phone in phones(word)]
