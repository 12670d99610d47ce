"""A draft: a production's mastered chapters gathered from the store and packaged into a directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.orm import Session

from flows.factory.studio import stored_book
from flows.services import Services
from generation.manuscript.book import Chapter as BookChapter
from generation.manuscript.book import Cover
from generation.mastering import MasteredChapter, mastered
from generation.packages import (
    BookMeta,
    Description,
    Release,
    VoiceMeta,
    attach,
    credits_chapters,
    package,
)
from generation.packages.credits import CLOSING_NUMBER, OPENING_NUMBER
from generation.packages.isbn import isbn_13
from generation.packages.package import DRAFTED
from storage import productions
from storage.models import Chapter, Manuscript
from storage.objects import fetch

REPORT_FILE = "qa-report.json"


@dataclass(frozen=True)
class Draft:
    """What a release is packaged from: its description, and the mastered chapters' archives in a folder."""

    description: Description
    chapters: tuple[MasteredChapter, ...]
    seed: int


@contextmanager
def gathered(services: Services, production_id: int, *, dated: str = DRAFTED) -> Iterator[Draft]:
    """Gather a production whose chapters are mastered; its files are there inside the `with`.

    `dated` is as in `generation.packages.Description`.

    Raises
    ------
    StorageError
        Something is not in the store as it was written.
    """
    with Session(services.engine, expire_on_commit=False) as session:
        production = productions.get(session, production_id)
        chapters, seed = list(production.chapters), production.seed
    description = replace(described(services, production_id), dated=dated)
    with TemporaryDirectory(prefix="lectern-draft-") as folder:
        done = tuple(_chapter(services, chapter, Path(folder)) for chapter in chapters)
        yield Draft(description, done, seed)


def described(services: Services, production_id: int) -> Description:
    """Return what a production's packages say: of the manuscript, the submission, and the voice."""
    with Session(services.engine, expire_on_commit=False) as session:
        production = productions.get(session, production_id)
        manuscript, voice, weights = production.manuscript, production.voice, production.weights
    book = stored_book(services, manuscript.id)
    cover = book.cover
    if manuscript.cover_key is not None:
        cover = Cover(services.store.get(manuscript.cover_key), "")
    meta = _book(BookMeta.of(book), manuscript)
    narrator = VoiceMeta(
        name=voice.name,
        codec=voice.codec,
        prompt_digest=voice.digest,
        models={part: file["digest"] for part, file in weights.items()},
    )
    disclosure = services.settings.disclosure
    spoken = credits_chapters(meta, narrator, disclosure)
    return Description(
        book=meta,
        voice=narrator,
        cover=cover,
        disclosure=disclosure,
        texts={chapter.number: chapter for chapter in (*book.chapters, *spoken)},
    )


def spoken_credits(services: Services, production_id: int) -> tuple[BookChapter, ...]:
    """Return a production's opening and closing credits, to be narrated like its chapters."""
    texts = described(services, production_id).texts
    return texts[OPENING_NUMBER], texts[CLOSING_NUMBER]


def package_draft(services: Services, production_id: int, out: Path) -> Release:
    """Package a production as a draft release with its report beside it; raises PackagingError."""
    with gathered(services, production_id) as draft:
        release = package(draft.description, draft.chapters, out, seed=draft.seed)
    with Session(services.engine) as session:
        report = productions.last_report(session, production_id)
    if report is None:
        return release
    return attach(out, REPORT_FILE, services.store.get(report.key), "application/json")


def _book(found: BookMeta, said: Manuscript) -> BookMeta:
    """Put what the publisher said over what the manuscript says of itself."""
    return found.model_copy(
        update={
            "title": said.title,
            "authors": tuple(said.authors),
            "language": said.language,
            "identifier": said.isbn,
            "isbn": isbn_13(said.isbn),
            "publisher": said.publisher,
            "credits": {role: _names(names) for role, names in said.credits.items()},
        }
    )


def _names(said: Any) -> tuple[str, ...]:
    return tuple(map(str, said)) if isinstance(said, list | tuple) else (str(said),)


def _chapter(services: Services, chapter: Chapter, folder: Path) -> MasteredChapter:
    assert chapter.audio_key is not None and chapter.times_key is not None  # it is mastered
    flac = folder / f"{chapter.number}.flac"
    fetch(services.store, chapter.audio_key, flac, digest=chapter.audio_digest)
    times = services.store.get(chapter.times_key, digest=chapter.times_digest)
    return mastered(chapter.number, chapter.title, flac, times, chapter.measures)
