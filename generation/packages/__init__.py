"""Packages: mastered chapters in, what is delivered out, all of it listed in `release.json`.

`package` writes every file from the chapters' archives; `master_and_package` masters them first.
"""

from generation.packages.credits import credits_chapters
from generation.packages.errors import PackagingError, SubmissionError
from generation.packages.package import Description, attach, master_and_package, package
from generation.packages.release import AI_DISCLOSURE, BookMeta, Release, VoiceMeta, read_release
from generation.packages.submission import Submission, read_submission, submitted_cover

__all__ = [
    "AI_DISCLOSURE",
    "BookMeta",
    "Description",
    "PackagingError",
    "Release",
    "Submission",
    "SubmissionError",
    "VoiceMeta",
    "attach",
    "credits_chapters",
    "master_and_package",
    "package",
    "read_release",
    "read_submission",
    "submitted_cover",
]
