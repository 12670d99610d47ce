"""Mastering: narrated windows in, delivered files out.

    windows ─► stitch ─► master (measure, plan, render) ─► files (FLAC, MP3, M4B) ─► release.json

`package` does the whole of it.
"""

from generation.mastering.errors import MasteringError, PackagingError
from generation.mastering.package import (
    NarratedChapter,
    NarratedWindow,
    SpokenWord,
    attach,
    package,
)
from generation.mastering.release import AI_DISCLOSURE, BookMeta, Release, VoiceMeta, read_release

__all__ = [
    "AI_DISCLOSURE",
    "BookMeta",
    "MasteringError",
    "NarratedChapter",
    "NarratedWindow",
    "PackagingError",
    "Release",
    "SpokenWord",
    "VoiceMeta",
    "attach",
    "package",
    "read_release",
]
