"""The submission file: what a publisher says of a book, in TOML or JSON, completed from the manuscript.

Everything is optional; what is not said is taken from the manuscript's own metadata. Unknown keys are
errors, so that a slip of the pen is not a silent omission.
"""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from generation.manuscript.book import Book, Cover
from generation.mastering.times import Frozen
from generation.packages.errors import SubmissionError
from generation.packages.release import AI_DISCLOSURE, BookMeta

_COVERS = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


def checked_isbn(isbn: str) -> str:
    """Return an ISBN without hyphens; ISBN-10 becomes ISBN-13 (ISO 2108). Empty stays empty.

    Raises
    ------
    ValueError
        The check digit is wrong, or it is no ISBN at all.
    """
    bare = isbn.upper().replace("-", "").replace(" ", "")
    if not bare:
        return ""
    if len(bare) == 10 and bare[:9].isdigit() and (bare[9].isdigit() or bare[9] == "X"):
        digits = [*map(int, bare[:9]), 10 if bare[9] == "X" else int(bare[9])]
        if sum((10 - i) * digit for i, digit in enumerate(digits)) % 11 == 0:
            stem = f"978{bare[:9]}"
            return stem + str(-_weighted(stem) % 10)
    elif len(bare) == 13 and bare.isdigit() and _weighted(bare) % 10 == 0:
        return bare
    raise ValueError(f"{isbn!r} is no ISBN: its check digit is wrong, or digits are missing")


def _weighted(digits: str) -> int:
    return sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(digits))


class TextRightsEntry(Frozen):
    """Who may have the text narrated: as `storage.enrolment.TextRights` takes it."""

    holder: str = Field(min_length=1)
    basis: Literal["public_domain", "licence", "owned"]
    territories: tuple[str, ...] = ("WORLD",)
    until: str = Field(default="", description="ISO date of the first day without them.")


class Submission(Frozen):
    """A book's metadata as its publisher gives it."""

    title: str = ""
    subtitle: str = ""
    authors: tuple[str, ...] = ()
    isbn: Annotated[str, AfterValidator(checked_isbn)] = ""
    publisher: str = ""
    language: str = Field(default="", pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)?$")
    published: str = Field(default="", pattern=r"^(\d{4}(-\d\d(-\d\d)?)?)?$")
    description: str = ""
    rights: str = ""
    credits: dict[str, tuple[str, ...]] = Field(
        default={}, description="Names by role: translator, editor, producer."
    )
    cover: str = Field(default="", description="An image's path, beside the submission file.")
    disclosure: str = AI_DISCLOSURE
    text_rights: TextRightsEntry | None = None

    def book(self, manuscript: Book) -> BookMeta:
        """Return the book's metadata: what is said here, else what the manuscript says."""
        found = BookMeta.of(manuscript)
        said = {
            name: value for name in BookMeta.model_fields if (value := getattr(self, name, None))
        }
        return found.model_copy(update=said)


def read_submission(path: Path) -> Submission:
    """Read a submission file.

    Raises
    ------
    SubmissionError
        It cannot be read, is neither TOML nor JSON, or a key or value is wrong; the message names it.
    """
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".json":
            return Submission.model_validate_json(data)
        return Submission.model_validate(tomllib.loads(data.decode("utf-8")))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()
        )
        raise SubmissionError(f"{path}: {wrong}") from error
    except (OSError, ValueError, json.JSONDecodeError) as error:
        raise SubmissionError(
            f"{path} cannot be read as a submission ({error}); write TOML or JSON"
        ) from error


def submitted_cover(path: Path, submission: Submission) -> Cover | None:
    """Return the cover that a submission file names, looked for beside it; None where it names none.

    Raises
    ------
    SubmissionError
        There is no such image.
    """
    if not submission.cover:
        return None
    image = path.parent / submission.cover
    media_type = _COVERS.get(image.suffix.lower())
    if media_type is None or not image.is_file():
        raise SubmissionError(f"{path}: there is no JPEG, PNG or WebP cover at {image}")
    return Cover(image.read_bytes(), media_type)
