"""WebVTT: a chapter's text as captions, with a time for every word inside each cue (W3C WebVTT, 2019)."""

import re
from collections.abc import Iterator
from html import escape
from itertools import pairwise
from pathlib import Path

from generation.packages.edition import Edition, Recording, TimedText, timed_blocks

CUE_CHARACTERS = 84
"""Two lines of 42 characters, as captions are commonly set."""

_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s*$")


def write_webvtt(edition: Edition, recording: Recording, path: Path) -> None:
    """Write a recording's captions; what was not heard as a word is shown with the word before it."""
    cues = list(_cues(recording))
    lines = ["WEBVTT", "", f"NOTE {edition.disclosure.replace('-->', '→')}", ""]
    for number, cue in enumerate(cues):
        later = cues[number + 1].start_s if number + 1 < len(cues) else recording.duration_s
        end_s = max(cue.start_s + 0.001, min(cue.end_s + 0.5, later))
        lines += [f"{clock(cue.start_s)} --> {clock(end_s)}", cue.text, ""]
    path.write_text("\n".join(lines), "utf-8")


def clock(seconds: float) -> str:
    """Return a time as WebVTT and SMIL write it: `01:02:03.456`."""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


class _Cue:
    def __init__(self, start_s: float) -> None:
        self.start_s, self.end_s, self.text, self.shown = start_s, start_s, "", ""

    def add(self, word: str, start_s: float, end_s: float) -> None:
        mark = f"<{clock(start_s)}>" if self.shown and start_s > self.start_s else ""
        self.text += mark + escape(word, quote=False)
        self.shown += word
        self.end_s = max(self.end_s, end_s)


def _cues(recording: Recording) -> Iterator[_Cue]:
    for said in _paragraphs(recording):
        cue: _Cue | None = None
        for word, start_s, end_s in said:
            full = cue and len(cue.shown) + len(word.rstrip()) > CUE_CHARACTERS
            if cue and (full or _SENTENCE_END.search(cue.shown)):
                yield _finished(cue)
                cue = None
            cue = cue or _Cue(start_s)
            cue.add(word, start_s, end_s)
        if cue:
            yield _finished(cue)


def _finished(cue: _Cue) -> _Cue:
    cue.text = cue.text.rstrip()
    return cue


def _paragraphs(recording: Recording) -> Iterator[list[tuple[str, float, float]]]:
    """Yield each paragraph's words, each with what stands between it and the next one."""
    if recording.text is None:
        yield [(f"{word.text} ", word.start_s, word.end_s) for word in recording.times.words]
        return
    blocks = recording.text.blocks
    for block, timed in zip(blocks, timed_blocks(blocks, recording.times.words), strict=True):
        if timed:
            yield list(_with_between(block.text, timed))


def _with_between(text: str, timed: tuple[TimedText, ...]) -> Iterator[tuple[str, float, float]]:
    """Share out what stands between two words: up to the white space to the first, the rest to the second."""
    starts = [0]
    for before, after in pairwise(timed):
        gap = text[before.end : after.start]
        starts.append(before.end + len(gap) - len(gap.split(" ")[-1]))
    for word, start, end in zip(timed, starts, [*starts[1:], len(text)], strict=True):
        yield text[start:end], word.start_s, word.end_s
