"""`lectern evaluate-codec`: what `soundstream` leaves of voices kept out of training.

Every held-out recording goes through the codec and back. Where a corpus has no text, the words are held
against what the recogniser hears in the original, whose own errors are then none by definition.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from generation.codec.soundstream import SoundStreamCodec
from generation.rates import SAMPLE_RATE_HZ
from generation.training.codec_data import heldout_paths, manifest, read_recording
from qa.audio import Audio, as_audio
from qa.naturalness import naturalness
from qa.recognisers import transcribe
from qa.speaker import embed, similarity
from qa.statistics import Interval, wer_difference
from qa.words import ErrorCount, compare

Report = Callable[[str], None]


@dataclass(frozen=True)
class ClipFigures:
    """One recording: its resynthesis beside the original.

    Attributes
    ----------
    similarity
        GE2E cosine of the two.
    dnsmos, dnsmos_original
        OVRL.
    words, words_original
        Errors by Whisper tiny.en.
    """

    path: str
    similarity: float
    dnsmos: float
    dnsmos_original: float
    words: ErrorCount
    words_original: ErrorCount


@dataclass(frozen=True)
class CodecFigures:
    """All held-out recordings of one corpus."""

    corpus: str
    has_text: bool
    clips: tuple[ClipFigures, ...]

    @property
    def word_difference(self) -> Interval:
        """Word error rate minus the original's, paired bootstrap by recording."""
        return wer_difference([c.words for c in self.clips], [c.words_original for c in self.clips])


def evaluate_codec(
    weights: Path, data: Path, levels: int | None = None, report: Report = lambda step: None
) -> tuple[CodecFigures, ...]:
    """Resynthesise every held-out recording and measure it, corpus by corpus.

    Parameters
    ----------
    weights
        Of the `soundstream` codec.
    data
        Folder that holds ``speech/manifest.tsv``.
    levels
        Streams used, all by default.
    report
        Told what is being done.

    Raises
    ------
    LecternError
        Data or weights cannot be used.
    """
    codec, held = SoundStreamCodec.load(weights, levels=levels), heldout_paths()
    rows = [row for row in manifest(data) if row["path"] in held]
    figures = []
    for corpus in sorted({row["corpus"] for row in rows}):
        own = [row for row in rows if row["corpus"] == corpus]
        report(f"{corpus}: {len(own)} recordings")
        clips = tuple(_clip_figures(codec, data, row) for row in own)
        figures.append(CodecFigures(corpus, all(row["text"] for row in own), clips))
    return tuple(figures)


def _clip_figures(codec: SoundStreamCodec, data: Path, row: dict[str, str]) -> ClipFigures:
    waveform, _ = read_recording(data, row)
    original = as_audio(waveform, SAMPLE_RATE_HZ)
    again = as_audio(codec.decode(codec.encode(waveform), 0)[: len(waveform)], SAMPLE_RATE_HZ)
    heard = transcribe(original)
    text = row["text"] or " ".join(word.text for word in heard.words)
    return ClipFigures(
        row["path"],
        similarity(embed(again), embed(original)),
        _overall(again),
        _overall(original),
        compare([text], transcribe(again)).total,
        compare([text], heard).total,
    )


def _overall(audio: Audio) -> float:
    return naturalness(audio).mean_overall


def to_json(figures: Sequence[CodecFigures]) -> list[dict[str, Any]]:
    """Return figures as plain data for JSON."""
    return [{**asdict(f), "word_difference": asdict(f.word_difference)} for f in figures]


def markdown(figures: Sequence[CodecFigures]) -> str:
    """Render figures as one row a corpus."""
    head = [
        "| corpus (recordings, words) | DNSMOS (original) | GE2E mean, worst | WER (original), % "
        "| difference in points, and the 95 % interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *map(_line, figures)]) + "\n"


def _line(figures: CodecFigures) -> str:
    clips, gap = figures.clips, figures.word_difference
    alike = [clip.similarity for clip in clips]
    against = "" if figures.has_text else " against what is heard in the original"
    return (
        f"| {figures.corpus} ({len(clips)}, {sum(c.words.words for c in clips)}) "
        f"| {fmean(c.dnsmos for c in clips):.2f} ({fmean(c.dnsmos_original for c in clips):.2f}) "
        f"| {fmean(alike):.3f}, {min(alike):.2f} "
        f"| {_rate([c.words for c in clips]):.1f} ({_rate([c.words_original for c in clips]):.1f}){against} "
        f"| {100 * gap.estimate:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f}) |"
    )


def _rate(counts: Sequence[ErrorCount]) -> float:
    return 100 * sum(c.errors for c in counts) / max(1, sum(c.words for c in counts))
