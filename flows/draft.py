"""A draft: a production's mastered chapters gathered from the store and packaged into a directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from flows.services import Services
from flows.studio import stored_book
from generation.manuscript.book import Cover
from generation.mastering import MasteredChapter, mastered
from generation.packages import BookMeta, Release, VoiceMeta, attach, package
from storage import productions
from storage.models import Chapter, Manuscript
from storage.objects import fetch

REPORT_FILE = "qa-report.json"


@dataclass(frozen=True)
class Draft:
    """What a release is packaged from: metadata, and the mastered chapters' archives in a folder."""

    book: BookMeta
    voice: VoiceMeta
    chapters: tuple[MasteredChapter, ...]
    seed: int
    cover: Cover | None


@contextmanager
def gathered(services: Services, production_id: int) -> Iterator[Draft]:
    """Gather a production whose chapters are mastered; its files are there inside the `with`.

    Raises
    ------
    StorageError
        Something is not in the store as it was written.
    """
    with Session(services.engine, expire_on_commit=False) as session:
        production = productions.get(session, production_id)
        manuscript, voice = production.manuscript, production.voice
        chapters = list(production.chapters)
    book = stored_book(services, manuscript.id)
    cover = book.cover
    if manuscript.cover_key is not None:
        cover = Cover(services.store.get(manuscript.cover_key), "")
    with TemporaryDirectory(prefix="lectern-draft-") as folder:
        yield Draft(
            _book(BookMeta.of(book), manuscript),
            VoiceMeta(
                name=voice.name,
                codec=voice.codec,
                prompt_digest=voice.digest,
                models={part: file["digest"] for part, file in production.weights.items()},
            ),
            tuple(_chapter(services, chapter, Path(folder)) for chapter in chapters),
            production.seed,
            cover,
        )


def package_draft(services: Services, production_id: int, out: Path) -> Release:
    """Package a production as a draft release with its report beside it; raises PackagingError."""
    with gathered(services, production_id) as draft:
        release = package(
            draft.book, draft.voice, draft.chapters, out, seed=draft.seed, cover=draft.cover
        )
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
            "publisher": said.publisher,
        }
    )


def _chapter(services: Services, chapter: Chapter, folder: Path) -> MasteredChapter:
    assert chapter.audio_key is not None and chapter.times_key is not None  # it is mastered
    flac = folder / f"{chapter.number}.flac"
    fetch(services.store, chapter.audio_key, flac, digest=chapter.audio_digest)
    times = services.store.get(chapter.times_key, digest=chapter.times_digest)
    return mastered(chapter.number, chapter.title, flac, times, chapter.measures)
