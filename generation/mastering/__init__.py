"""Mastering: narrated windows in, delivered files out.

    windows ─► stitch ─► master (measure, plan, render) ─► a chapter's archive ─► files ─► release.json

`master_chapter` makes a chapter's archive, `package` writes what is delivered from the archives, and
`master_and_package` does both.
"""

from generation.mastering.chapter import (
    MasteredChapter,
    NarratedChapter,
    NarratedWindow,
    SpokenWord,
    master_chapter,
    mastered,
)
from generation.mastering.errors import MasteringError, PackagingError
from generation.mastering.package import attach, master_and_package, package
from generation.mastering.release import (
    AI_DISCLOSURE,
    BookMeta,
    ChapterTimes,
    Release,
    VoiceMeta,
    read_release,
)

__all__ = [
    "AI_DISCLOSURE",
    "BookMeta",
    "ChapterTimes",
    "MasteredChapter",
    "MasteringError",
    "NarratedChapter",
    "NarratedWindow",
    "PackagingError",
    "Release",
    "SpokenWord",
    "VoiceMeta",
    "attach",
    "master_and_package",
    "master_chapter",
    "mastered",
    "package",
    "read_release",
]
