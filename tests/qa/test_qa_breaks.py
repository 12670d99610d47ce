"""Long pauses: dead air inside a paragraph, meant after a heading, too long even there."""

from qa.breaks import text_breaks
from qa.recognisers import HeardWord, Transcript
from qa.signal import Pause
from qa.thresholds import Thresholds
from qa.verdicts import judge_pauses
from qa.words import compare

TEXT = "Chapter one.\n\nThe lamp was lit. It burned low.\n\nNobody came."
STARTS_S = (0.2, 0.6, 3.5, 3.8, 4.1, 4.4, 7.2, 7.5, 7.9, 8.6, 9.0)
"""A pause of 2.5 s after the heading, one of 2.4 s inside the paragraph."""


def test_pauses_are_meant_between_paragraphs_only() -> None:
    words = TEXT.split()
    heard = [HeardWord(w, at, at + 0.3, 1.0) for w, at in zip(words, STARTS_S, strict=True)]
    breaks = text_breaks(TEXT, compare(TEXT, Transcript(tuple(heard))))
    assert [(round(a, 1), round(b, 1)) for a, b in breaks] == [(0.9, 3.5), (8.2, 8.6)]
    pauses = [Pause(0.95, 3.45), Pause(4.75, 7.15)]
    [found] = judge_pauses(pauses, 10.0, breaks, Thresholds())
    assert (found.check, found.start_s) == ("dead_air", 4.75)
    assert len(judge_pauses(pauses, 10.0, (), Thresholds())) == 2
    [long] = judge_pauses([Pause(0.9, 5.0)], 10.0, [(0.9, 5.0)], Thresholds())
    assert long.limit == Thresholds().meant_pause_most_s
