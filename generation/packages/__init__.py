"""Packages: mastered chapters in, what is delivered out, all of it listed in `release.json`.

`package` writes every file from the chapters' archives; `master_and_package` masters them first.
"""

from generation.packages.credits import credits_chapters
from generation.packages.errors import PackagingError
from generation.packages.package import Description, attach, master_and_package, package
from generation.packages.release import AI_DISCLOSURE, BookMeta, Release, VoiceMeta, read_release

__all__ = [
    "AI_DISCLOSURE",
    "BookMeta",
    "Description",
    "PackagingError",
    "Release",
    "VoiceMeta",
    "attach",
    "credits_chapters",
    "master_and_package",
    "package",
    "read_release",
]
