"""Windows: spans of whole units between two pauses, planned from the script alone, once and for all.

SpeechSSM streams through them in order; SoundStorm renders each by itself behind the voice prompt. A
window is planned to last 12 to 27 s (27 s of new speech and the 3 s prompt make the model's 30 s).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from generation.rates import PROMPT_S, WINDOW_S
from generation.script.units import INDEX, SYMBOLS, Pause

LONGEST_S = WINDOW_S - PROMPT_S
SHORTEST_S = 12.0
TARGET_S = 20.0
"""Planned length: readings vary, and must still fit."""

LIMIT_S = 0.9 * LONGEST_S
"""No window is planned beyond this."""

_PHONEME_S = 0.075
_PAUSE_S = {
    Pause.PERIOD: 0.46, Pause.QUESTION: 0.46, Pause.EXCLAMATION: 0.46, Pause.PARAGRAPH: 0.42,
    Pause.HEADING: 0.78, Pause.SCENE: 1.35, Pause.CHAPTER: 0.60, Pause.COMMA: 0.28,
    Pause.SEMICOLON: 0.34, Pause.COLON: 0.34, Pause.DASH: 0.34, Pause.ELLIPSIS: 0.34, Pause.OPEN: 0.28,
}  # fmt: skip
"""What the house voices give each unit on average; only the planning depends on it."""

UNIT_S = tuple(
    _PAUSE_S[Pause(symbol)] if symbol in {p.value for p in Pause} else _PHONEME_S
    for symbol in SYMBOLS
)
_SENTENCE_ENDS = frozenset(
    INDEX[p.value]
    for p in (Pause.PERIOD, Pause.QUESTION, Pause.EXCLAMATION, Pause.PARAGRAPH, Pause.HEADING,
              Pause.SCENE, Pause.CHAPTER)
)  # fmt: skip
_PAUSES = frozenset(INDEX[p.value] for p in Pause)


@dataclass(frozen=True, slots=True)
class Window:
    """Units `[start, end)` of a chapter's script; `number` counts from 0 and never changes."""

    number: int
    start: int
    end: int
    expected_s: float


def plan_windows(units: Sequence[int], word_starts: Sequence[bool]) -> tuple[Window, ...]:
    """Cut a chapter's unit indices into windows.

    Cuts fall after sentence pauses where the plan stays within bounds; a sentence too long for one window
    is cut after a lesser pause, or failing that before a word.
    """
    pieces: list[tuple[int, float]] = []
    for start, end in _spans(units, 0, len(units), _SENTENCE_ENDS):
        pieces += _fitting(units, word_starts, start, end)
    windows: list[Window] = []
    start = end = 0
    length = 0.0
    for piece_end, seconds in pieces:
        over = length + seconds
        if length and (over > LIMIT_S or (length >= SHORTEST_S and over > TARGET_S)):
            windows.append(Window(len(windows), start, end, length))
            start, length = end, 0.0
        length += seconds
        end = piece_end
    if end > start:
        windows.append(Window(len(windows), start, end, length))
    return tuple(windows)


def expected_s(units: Sequence[int], start: int, end: int) -> float:
    """Seconds the units `[start, end)` are expected to last."""
    return sum(UNIT_S[u] for u in units[start:end])


def _spans(
    units: Sequence[int], start: int, end: int, enders: frozenset[int]
) -> list[tuple[int, int]]:
    """Split `[start, end)` after each run of `enders`."""
    spans, first = [], start
    for i in range(start, end):
        last_of_run = units[i] in enders and (i + 1 == end or units[i + 1] not in enders)
        if last_of_run:
            spans.append((first, i + 1))
            first = i + 1
    if first < end:
        spans.append((first, end))
    return spans


def _fitting(
    units: Sequence[int], word_starts: Sequence[bool], start: int, end: int
) -> list[tuple[int, float]]:
    """Return (end, seconds) of pieces of a sentence that each fit a window."""
    whole = expected_s(units, start, end)
    if whole <= LIMIT_S:
        return [(end, whole)]
    parts = _spans(units, start, end, _PAUSES)
    if len(parts) == 1:
        middle = _word_boundary(word_starts, start, end)
        if middle is None:
            return [(end, whole)]
        parts = [(start, middle), (middle, end)]
    pieces: list[tuple[int, float]] = []
    for first, last in parts:
        pieces += _fitting(units, word_starts, first, last)
    return pieces


def _word_boundary(word_starts: Sequence[bool], start: int, end: int) -> int | None:
    """Find the word that starts nearest the middle."""
    inside = [i for i in range(start + 1, end) if word_starts[i]]
    return min(inside, key=lambda i: abs(i - (start + end) // 2)) if inside else None
