"""What every request works with: database, object store, local copies, options, and the factory behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import Depends, Request
from sqlalchemy import Engine

from qa.review.documents import Documents
from qa.review.shelf import Shelf
from storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Upload:
    """A book as a publisher submits it in the browser; `path` is gone when the call returns."""

    path: Path
    source_name: str
    media_type: str
    voice: str
    title: str
    authors: tuple[str, ...]
    language: str
    rights_holder: str
    rights_basis: str
    priority: int
    actor: str


class Factory(Protocol):
    """What the flows do for the app, which may not know them: the rest of Lectern as it is seen from here."""

    refusals: tuple[type[Exception], ...]
    """Errors whose text is for who asked."""

    def voices(self) -> Sequence[str]:
        """Return the voices a book can be read by."""

    def submit(self, upload: Upload) -> int:
        """Queue an uploaded book; returns the production's id. Raises one of the refusals."""

    def check_directions(self, directions: Mapping[str, str]) -> None:
        """Raise one of the refusals where a word cannot be said as it is asked for."""

    def approved(self, production_id: int) -> None:
        """Start what follows an approval, which is committed already."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the app behaves.

    Attributes
    ----------
    cache : folder for local copies of audio; may be emptied at any time
    cache_bytes : how large it may grow
    hosts : names under which the app may be asked for
    four_eyes : whether two people must approve
    upload_bytes : largest manuscript
    """

    cache: Path
    cache_bytes: int = 8 << 30
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    four_eyes: bool = False
    upload_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Desk:
    """Open services and options; one for the app's life."""

    engine: Engine
    store: ObjectStore
    options: Options
    shelf: Shelf
    documents: Documents
    factory: Factory | None = None


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(_desk)]
