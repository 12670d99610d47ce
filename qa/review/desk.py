"""What every request works with: database, object store, local copies, options, and what flows gave us."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

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


Submit = Callable[[Upload], int]
"""Queues an uploaded book and returns the production's id."""

AfterApproval = Callable[[int], None]
"""Told the id of an approved production, after the approval was committed."""


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
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
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
    submit: Submit | None = None
    after_approval: AfterApproval | None = None
    refusals: tuple[type[Exception], ...] = ()
    """Errors of `submit` whose text is for the publisher."""


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(_desk)]
