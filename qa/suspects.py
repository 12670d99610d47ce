"""Tell the narrator's word errors from the recogniser's.

A recogniser of 3 % word errors cries wolf thirty times in a thousand words. So each place where transcript
and text part is weighed: the text's words are put in place of the heard ones, and Whisper says how much
the sound supports either (`qa.recognisers.evidence`). Where the text is supported nearly as well, it was
read.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from qa.audio import Audio
from qa.phones import phones
from qa.places import Suspect
from qa.recognisers import Transcript, evidence
from qa.signal import stretch
from qa.text import printed_words
from qa.words import AlignedWord, Kind, WordReport

_BATCH = 6  # texts weighed at once


@dataclass(frozen=True, slots=True)
class _Region:
    """A run of errors: its steps, the cut it was heard in, and where its words belong in the transcript."""

    words: tuple[AlignedWord, ...]
    cut: int
    place: int

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
        region = _Region(tuple(alignment[start:end]), cut, place)
        heard = region.heard_sources
        regions.append(_Region(region.words, cut, min(heard)) if heard else region)
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
    return [_suspect(region, doubts.get(n, 0.0)) for n, region in enumerate(regions)]


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
