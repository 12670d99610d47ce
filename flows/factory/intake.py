"""Intake: a manuscript and a voice become an order; what cannot be read or may not be said is refused."""

import getpass
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flows.factory.judging import Depth
from flows.factory.studio import default_device, numerics_profile
from flows.services import Services
from generation.errors import ManuscriptError
from generation.manuscript import read_manuscript, select_chapters
from generation.manuscript.book import Book, Chapter
from generation.numerics import NumericsProfile
from generation.script.lexicon import Lexicon
from generation.voices import HouseVoice, Voice, house_voices, weight_files
from storage import enrolment, productions
from storage.database import transaction
from storage.enrolment import WORLD, ConsentTerms, Metadata, TextRights, canonical_digest
from storage.models import Manuscript, Production, Take
from storage.models import Voice as VoiceRow

AUDIO_S_PER_WORD = 0.39
"""Speech of the house voice a word of English prose (demo story and held-out books)."""

MACHINE_S_PER_AUDIO_S = 1.0
"""Expected before anything was rendered here; afterwards the home's own renderings say."""

_RECENT_TAKES = 500


class Rights(BaseModel):
    """Why the text may be read aloud."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    holder: str = Field(min_length=1)
    basis: Literal["public_domain", "licence", "owned"]
    territories: tuple[str, ...] = (WORLD,)
    until: datetime | None = None


class Submission(BaseModel):
    """What a publisher may say of a book beside the manuscript: the file given as `--metadata` (TOML).

    Whatever is left out is taken from the manuscript. `cover` is a file beside the metadata.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    authors: tuple[str, ...] = ()
    language: str = ""
    isbn: str = ""
    publisher: str = ""
    credits: dict[str, Any] = {}
    cover: Path | None = None
    territories: tuple[str, ...] = (WORLD,)
    rights: Rights | None = None

    @classmethod
    def load(cls, path: Path) -> "Submission":
        """Read a metadata file; raises ManuscriptError naming the file and the key at fault."""
        try:
            found = tomllib.loads(path.read_text("utf-8"))
            read = cls.model_validate(found)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ManuscriptError(f"the metadata {path} cannot be read: {error}") from error
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
            )
            raise ManuscriptError(f"the metadata {path} cannot be used: {faults}") from error
        if read.cover is not None:
            read = read.model_copy(update={"cover": path.parent / read.cover})
        return read


@dataclass(frozen=True)
class Wish:
    """How a book is to be narrated and when: the settings of an order.

    `questions` are those the report asks (`qa.findings.Question`); all where empty. `credits` are opening
    and closing credits, spoken by the voice. `takes_by` is what takes are judged by; none: as the settings
    say, or what suits the voice.
    """

    chapters: str = ""
    seed: int = 0
    lexicon: str = ""
    priority: int = 0
    due_at: datetime | None = None
    questions: tuple[str, ...] = ()
    credits: bool = False
    takes_by: Depth | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What goes into the order's digest beside the seed."""
        told: dict[str, Any] = {
            "chapters": self.chapters,
            "lexicon": self.lexicon,
            "questions": list(self.questions),
            "credits": self.credits,
            "takes_by": self.takes_by and self.takes_by.value,
        }
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class Narrator:
    """An enrolled voice and the weight files it speaks with, by part.

    `experimental`: its figures (docs/voices.md) are not yet good enough to publish with. `takes_by`: what
    its takes are judged by where nobody says; words and voice of an untrained one would fail every time.
    """

    voice: VoiceRow
    weights: Mapping[str, Path]
    experimental: bool = False
    takes_by: Depth = Depth.FULL


def narrator_named(
    services: Services,
    name: str,
    actor: str,
    consent: Path | None = None,
    own_voice: str | None = None,
) -> Narrator:
    """Return the narrator that `name` means; house voices and recordings are enrolled on the way.

    Parameters and errors are those of `flows.factory.voices.resolve_voice`.
    """
    if name in house_voices():
        voice: Voice = house_voices()[name]
        row = enrol_house_voice(services, house_voices()[name], actor)
    else:
        from flows.factory.voices import resolve_voice  # recordings need the speaker encoder

        enrolled = resolve_voice(services, name, consent, own_voice, actor=actor)
        voice, row = enrolled.voice, enrolled.row
    return Narrator(row, weight_files(voice), voice.experimental)


def enrol_house_voice(services: Services, voice: HouseVoice, actor: str) -> VoiceRow:
    """Enrol a house voice with the consent record that ships with it; again is no error."""
    consent = "".join(f"{name} = {value}\n" for name, value in sorted(voice.consent.items()))
    return enrolment.enrol_voice(
        services.engine,
        services.store,
        name=voice.name,
        prompt=voice.prompt.read_bytes(),
        codec=voice.codec,
        terms=ConsentTerms(
            owner=voice.consent["owner"],
            signatory=voice.consent["signatory"],
            document=consent.encode("utf-8"),
        ),
        actor=actor,
        origin="house",
    )


def read_wish(
    chapters: str = "",
    seed: int = 0,
    lexicon: Path | None = None,
    priority: int = 0,
    due_at: datetime | None = None,
) -> Wish:
    """Make a wish of what a command was given; raises LexiconError where the lexicon cannot be used."""
    text = ""
    if lexicon is not None:
        Lexicon.load(lexicon)
        text = lexicon.read_text("utf-8")
    return Wish(chapters, seed, text, priority, due_at)


def submit(
    services: Services,
    manuscript: Path,
    narrator: Narrator,
    wish: Wish,
    submission: Submission | None = None,
    *,
    actor: str | None = None,
) -> Production:
    """Enrol a manuscript and queue its production; the same open order is the same production.

    Raises
    ------
    LecternError
        The manuscript cannot be read, or the chapters or the lexicon do not fit it.
    ConsentRefused
        No consent of the voice, or no right in the text, covers it now.
    """
    who, said = actor or getpass.getuser(), submission or Submission()
    book = read_manuscript(manuscript)
    words = sum(chapter.words for chapter in chosen(book, wish.chapters))
    row = _enrol(services, manuscript, book, said, who)
    weights = enrolment.store_weights(services.engine, services.store, narrator.weights)
    takes_by = wish.takes_by or services.settings.takes_by or narrator.takes_by
    audio_s = words * AUDIO_S_PER_WORD
    order = productions.Order(
        manuscript_id=row.id,
        voice_id=narrator.voice.id,
        model_digest=model_digest(
            {part: file["digest"] for part, file in weights.items()},
            numerics_profile(default_device()),
        ),
        settings=replace(wish, takes_by=Depth(takes_by)).settings,
        weights=weights,
        seed=wish.seed,
        territories=said.territories,
        priority=wish.priority,
        due_at=wish.due_at,
        words=words,
        expected_audio_s=audio_s,
        expected_machine_s=audio_s * machine_s_per_audio_s(services),
    )
    with transaction(services.engine, actor=who, reason=f"'{row.title}' is submitted") as session:
        return productions.submit(session, order)


def check(manuscript: Path, wish: Wish) -> None:
    """Read a manuscript only to see that it and the selection can be used; raises LecternError."""
    chosen(read_manuscript(manuscript), wish.chapters)


def chosen(book: Book, chapters: str) -> tuple[Chapter, ...]:
    """Pick the chapters a selection names, or all that are read by default."""
    picked = select_chapters(book, chapters) if chapters else book.body
    if not any(chapter.words for chapter in picked):
        raise ManuscriptError(f"{book.title!r} has no chapter with words to read")
    return tuple(chapter for chapter in picked if chapter.words)


def model_digest(weights: Mapping[str, str], profile: NumericsProfile) -> str:
    """Return the digest of weights and of all else that decides the bits of the sound."""
    return canonical_digest({"weights": dict(weights), "profile": profile.digest})


def machine_s_per_audio_s(services: Services) -> float:
    """Return how long a second of audio takes here, by what was rendered last."""
    recent = (
        select(Take.duration_s, Take.measures["render_s"].as_float().label("made_s"))
        .where(Take.rendered_at.is_not(None), Take.measures.has_key("render_s"))
        .order_by(Take.id.desc())
        .limit(_RECENT_TAKES)
        .subquery()
    )
    with Session(services.engine) as session:
        audio_s, made_s = session.execute(
            select(func.sum(recent.c.duration_s), func.sum(recent.c.made_s))
        ).one()
    return float(made_s / audio_s) if audio_s else MACHINE_S_PER_AUDIO_S


def _enrol(
    services: Services, manuscript: Path, book: Book, said: Submission, who: str
) -> Manuscript:
    rights = said.rights or Rights(holder=who, basis="owned")
    try:
        cover = said.cover.read_bytes() if said.cover else book.cover and book.cover.data
    except OSError as error:
        raise ManuscriptError(f"the cover cannot be read: {error}") from error
    return enrolment.enrol_manuscript(
        services.engine,
        services.store,
        source=manuscript,
        source_name=manuscript.name,
        media_type=_media_type(manuscript),
        metadata=Metadata(
            title=said.title or book.title,
            authors=said.authors or book.authors,
            language=said.language or book.language,
            isbn=said.isbn or book.identifier,
            publisher=said.publisher or book.publisher,
            credits=said.credits,
            words=sum(chapter.words for chapter in book.body),
        ),
        rights=TextRights(rights.holder, rights.basis, rights.territories, rights.until),
        actor=who,
        cover=cover or None,
    )


_MEDIA_TYPES = {
    ".epub": "application/epub+zip",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".md": "text/markdown",
}


def _media_type(manuscript: Path) -> str:
    return _MEDIA_TYPES.get(manuscript.suffix.lower(), "text/plain")
