"""What can go wrong between narrated windows and delivered files.

LecternError
├── MasteringError      audio that cannot be joined or mastered
└── PackagingError      a place that cannot be delivered to
"""

from generation.errors import LecternError


class MasteringError(LecternError):
    """Audio that cannot be joined or mastered (silent, too short, damaged)."""


class PackagingError(LecternError):
    """A release that cannot be written where it was asked for."""
