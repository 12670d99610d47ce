"""`lectern qa`: any finished audio, ours or not, judged file by file beside its text where there is one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generation.errors import LecternError
from generation.manuscript import read_manuscript
from qa import judge_audio
from qa.findings import Verdict
from qa.report import Report

AUDIO_SUFFIXES = frozenset({".flac", ".mp3", ".wav", ".ogg", ".opus", ".m4a", ".m4b"})
TEXT_SUFFIXES = (".txt", ".md", ".epub", ".docx")


@dataclass(frozen=True)
class FileReport:
    """One file and what QA found in it."""

    path: Path
    report: Report

    @property
    def reasons(self) -> list[str]:
        """What was found wrong or could not be said, worst first."""
        return [
            f"{f.start_s:.1f}–{f.end_s:.1f} s: {f.reason}"
            for f in self.report.findings
            if f.verdict is not Verdict.PASS
        ]


def judge_path(audio: Path, text: Path | None = None) -> Iterator[FileReport]:
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
        yield FileReport(path, judge_audio(path, said))


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
