"""The one place that names keys in the object store.

What people bring is content-addressed: voices, consents, manuscripts, weights. What workers make is named by
its production and by the lease it was made under, so that two attempts never write the same key, and whatever
no row refers to after a day is an orphan that may go.
"""

from hashlib import file_digest, sha256
from pathlib import Path, PurePosixPath

ENROLLED = ("voices/", "consents/", "manuscripts/", "weights/")
"""Prefixes of content-addressed objects."""

PRODUCTIONS = "productions/"
RELEASES = "releases/"
"""Where a grant's files wait until all of them are final."""

PUBLISHED = "release/"
CATALOGUE = "catalogue/"
"""Pages about the releases; they are written anew whenever one comes or goes, and no row names them."""


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of `data`, in lower-case hexadecimal."""
    return sha256(data).hexdigest()


def file_digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def voice(digest: str, part: str) -> str:
    """Key of a voice's `prompt` or `embeddings`, by the digest of the prompt."""
    return f"voices/{digest}/{part}"


def consent(digest: str) -> str:
    """Key of a signed consent document."""
    return f"consents/{digest}"


def manuscript(digest: str) -> str:
    """Key of a manuscript's file, or of its cover, by the digest of those bytes."""
    return f"manuscripts/{digest}"


def weights(digest: str) -> str:
    """Key of a weight file."""
    return f"weights/{digest}"


def script(production_id: int, chapter_number: int, digest: str) -> str:
    """Key of a chapter's script."""
    return f"{PRODUCTIONS}{production_id}/chapters/{chapter_number}/script-{digest}"


def report(production_id: int, digest: str) -> str:
    """Key of a QA report."""
    return f"{PRODUCTIONS}{production_id}/reports/{digest}"


def chapter_part(production_id: int, chapter_number: int, lease: int, name: str) -> str:
    """Key of something made of a chapter under a lease: a snapshot, mastered audio, word times."""
    return f"{PRODUCTIONS}{production_id}/chapters/{chapter_number}/{lease}-{name}"


def window_part(
    production_id: int, chapter_number: int, number: int, take: int, lease: int, name: str
) -> str:
    """Key of something made of a window's take under a lease: tokens, audio."""
    return (
        f"{PRODUCTIONS}{production_id}/chapters/{chapter_number}"
        f"/windows/{number}/take-{take}/{lease}-{name}"
    )


def published(release_digest: str, path: str = "") -> str:
    """Key of a file of a published release, or the prefix of all of them."""
    return f"{PUBLISHED}{release_digest}/{path}"


def release_file(prefix: str, path: str) -> str:
    """Key of a file of a release that is not published yet."""
    return str(PurePosixPath(prefix) / path)
