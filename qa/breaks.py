"""Where a long pause is meant: at the ends of paragraphs and headings, and after a recording's title."""

import re
from itertools import accumulate

from qa.text import printed_words
from qa.words import WordReport

OPENING = (0.0, 6.0)
"""Readers pause after the heading that a chapter opens with: the pauses over 1.5 s after the headings of 13
LibriSpeech chapters of the learning half began within 4.6 s."""

_PARAGRAPH_END = re.compile(r"\n\s*\n")


def text_breaks(text: str, report: WordReport) -> list[tuple[float, float]]:
    """Find the times between the words heard last in each paragraph and first in the next.

    Parameters
    ----------
    text : the text, its paragraphs and headings divided by empty lines
    report : what was heard, laid over the same text
    """
    counts = [len(printed_words(part)) for part in _PARAGRAPH_END.split(text)]
    found = []
    for first in list(accumulate(counts))[:-1]:
        ends = [w.end_s for w in report.alignment if w.heard and 0 <= w.source < first]
        starts = [w.start_s for w in report.alignment if w.heard and w.source >= first]
        if ends and starts:
            found.append((max(ends), max(max(ends), min(starts))))
    return found
