"""Mastering: narrated windows in, a chapter's lossless archive out.

    windows ─► stitch ─► master (measure, plan, render) ─► archive, proven on its decoded MP3

`generation.packages` writes what is delivered from the archives.
"""

from generation.mastering.chapter import (
    MasteredChapter,
    NarratedChapter,
    NarratedWindow,
    SpokenWord,
    master_chapter,
    mastered,
)
from generation.mastering.errors import MasteringError
from generation.mastering.times import ChapterTimes

__all__ = [
    "ChapterTimes",
    "MasteredChapter",
    "MasteringError",
    "NarratedChapter",
    "NarratedWindow",
    "SpokenWord",
    "master_chapter",
    "mastered",
]
