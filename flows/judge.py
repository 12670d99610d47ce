"""`lectern qa`: any finished audio, ours or not, judged file by file beside its text where there is one.

The limits here are the floors of the evaluation, not calibrated ones; a file without its text can fail
by its sound but never pass, for nobody can say that every word is there.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from generation.errors import LecternError
from generation.manuscript import read_manuscript
from qa.audio import Audio, read_audio
from qa.naturalness import naturalness
from qa.recognisers import transcribe
from qa.words import compare

AUDIO_SUFFIXES = frozenset({".flac", ".mp3", ".wav", ".ogg", ".opus", ".m4a", ".m4b"})
TEXT_SUFFIXES = (".txt", ".md", ".epub", ".docx")

WORST_MINUTE = 2.8
HIGHEST_WER = 0.10
"""Above this, with no sentence missing or doubled, reading and recogniser cannot be told apart."""


class Verdict(StrEnum):
    """What is said of a file."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class FileVerdict:
    """One file: its verdict, the reasons, and what was measured (`wer` None without a text)."""

    path: str
    verdict: Verdict
    reasons: tuple[str, ...]
    duration_s: float
    dnsmos: float
    worst_minute: float
    wer: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return asdict(self)


def judge_path(audio: Path, text: Path | None = None) -> Iterator[FileVerdict]:
    """Judge one file, or every audio file of a directory in the order of their names.

    Parameters
    ----------
    audio
        File or directory.
    text
        Text of the file; for a directory, a directory with texts of the same names.

    Raises
    ------
    LecternError
        There is no audio, or the text cannot be paired or read.
    QAError
        A file cannot be decoded.
    """
    if audio.is_dir():
        paths = sorted(p for p in audio.iterdir() if p.suffix.lower() in AUDIO_SUFFIXES)
    else:
        paths = [audio]
    if not paths:
        raise LecternError(f"{audio} holds no audio file ({', '.join(sorted(AUDIO_SUFFIXES))})")
    texts = [_text_of(path, text, len(paths)) for path in paths]
    for path, said in zip(paths, texts, strict=True):
        yield judge_recording(str(path), read_audio(path), said)


def _text_of(path: Path, text: Path | None, files: int) -> str | None:
    if text is None:
        return None
    if text.is_dir():
        named = [p for s in TEXT_SUFFIXES if (p := text / f"{path.stem}{s}").is_file()]
        if not named:
            raise LecternError(f"{text} holds no text named {path.stem} for {path.name}")
        text = named[0]
    elif files > 1:
        raise LecternError(f"one text, {text.name}, for {files} files: give a directory of texts")
    body = read_manuscript(text).body
    return "\n\n".join(block.text for chapter in body for block in chapter.blocks if block.text)


def judge_recording(name: str, audio: Audio, text: str | None) -> FileVerdict:
    """Judge one recording beside its text, if there is one."""
    rated = naturalness(audio)
    failed, unsure = list[str](), list[str]()
    if rated.worst_minute_overall < WORST_MINUTE:
        failed.append(
            f"DNSMOS {rated.worst_minute_overall:.2f} in the minute from "
            f"{rated.worst_minute_start_s:.0f} s; at least {WORST_MINUTE} is asked"
        )
    wer = None
    if text is None:
        unsure.append("no text was given: whether every word is there cannot be said")
    else:
        transcript = transcribe(audio)
        report = compare(text, transcript)
        wer = report.total.rate
        failed += [f"missing at {s.start_s:.0f} s: {s.text}" for s in report.missing]
        failed += [f"said again at {s.start_s:.0f} s: {s.text}" for s in report.doubled]
        if wer > HIGHEST_WER:
            unsure.append(f"{100 * wer:.1f} % of the words are heard otherwise: listen to it")
        unsure += [f"the recogniser looped at {start:.0f} s" for start, _ in transcript.loops]
    verdict = Verdict.FAIL if failed else Verdict.INCONCLUSIVE if unsure else Verdict.PASS
    return FileVerdict(
        name,
        verdict,
        (*failed, *unsure),
        audio.duration_s,
        rated.mean_overall,
        rated.worst_minute_overall,
        wer,
    )
