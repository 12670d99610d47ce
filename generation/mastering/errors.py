"""What can go wrong on the way from narrated windows to a mastered chapter."""

from generation.errors import LecternError


class MasteringError(LecternError):
    """Audio that cannot be joined or mastered (silent, too short, damaged)."""
