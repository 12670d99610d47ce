"""What can go wrong between mastered chapters and a release.

LecternError
└── PackagingError          a place that cannot be delivered to, or a release that cannot be read
    ├── SigningError            no usable chain and key, or a signature that does not hold
    └── ProvenanceError         a file's C2PA manifest is missing, damaged, or not ours
"""

from generation.errors import LecternError


class PackagingError(LecternError):
    """A release that cannot be written where it was asked for, or cannot be read."""


class SigningError(PackagingError):
    """No usable certificate chain and key, or a signature that does not hold."""


class ProvenanceError(PackagingError):
    """A file's manifest is missing, damaged, or not ours."""
