"""What can go wrong between mastered chapters and a release.

LecternError
└── PackagingError          a place that cannot be delivered to, or a release that cannot be read
    └── SubmissionError     metadata that cannot be used
"""

from generation.errors import LecternError


class PackagingError(LecternError):
    """A release that cannot be written where it was asked for, or cannot be read."""


class SubmissionError(PackagingError):
    """Metadata of a submission that cannot be used."""
