"""What the player asks for while somebody listens: audio by ranges, peaks, what was heard, and notes."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, JSONResponse, Response

from qa.review.access import Anyone, Fields, Reviewer
from qa.review.desk import TheDesk
from qa.review.pages import done
from qa.review.production import seen
from storage import listening, reviews
from storage.accounts import Visitor
from storage.database import transaction
from storage.errors import NotFound, ReviewOutdated
from storage.models import Chapter
from storage.review_tables import Role

router = APIRouter()

FOREVER = "private, max-age=31536000, immutable"
"""Audio is named by its digest, so a browser may keep it."""

Second = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class HeardForm(BaseModel):
    """What a player just played, of which master."""

    model_config = ConfigDict(extra="ignore")

    audio_digest: str
    stretches: Annotated[list[tuple[Second, Second]], Field(max_length=listening.STRETCHES_AT_ONCE)]


class NoteForm(BaseModel):
    """A note about a place in a chapter."""

    model_config = ConfigDict(extra="ignore")

    chapter: int
    audio_digest: str
    at_s: Second
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


@router.get("/productions/{production_id}/chapters/{number}/audio")
def audio(desk: TheDesk, production_id: int, number: int, who: Anyone, v: str = "") -> Response:
    """Send a chapter's audio, or the range of it that was asked for."""
    chapter = _chapter(desk, who, production_id, number, v)
    assert chapter.audio_key is not None and chapter.audio_digest is not None
    path = desk.shelf.audio(chapter.audio_key, chapter.audio_digest)
    headers = {"ETag": f'"{chapter.audio_digest}"', "Cache-Control": FOREVER}
    return FileResponse(path, media_type="audio/flac", headers=headers)


@router.get("/productions/{production_id}/chapters/{number}/peaks")
def peaks(desk: TheDesk, production_id: int, number: int, who: Anyone, v: str = "") -> Response:
    """Send what a waveform is drawn from."""
    chapter = _chapter(desk, who, production_id, number, v)
    assert chapter.audio_key is not None and chapter.audio_digest is not None
    found = desk.shelf.peaks(chapter.audio_key, chapter.audio_digest)
    headers = {"ETag": f'"{chapter.audio_digest}-peaks"', "Cache-Control": FOREVER}
    return JSONResponse(found, headers=headers)


@router.post("/productions/{production_id}/chapters/{number}/heard")
def mark_heard(
    desk: TheDesk, production_id: int, number: int, who: Anyone, fields: Fields
) -> Response:
    """Remember what was played; a reviewer who listens keeps the claim alive."""
    form = HeardForm.model_validate(fields)
    chapter = _chapter(desk, who, production_id, number, form.audio_digest)
    with transaction(desk.engine, actor=who.name, reason="listened") as session:
        stretches = listening.mark_heard(
            session, account_id=who.account_id, chapter=chapter, stretches=form.stretches
        )
        if who.role is Role.REVIEWER:
            reviews.claim(session, production_id, who.account_id)
    return JSONResponse({"heard": stretches})


@router.post("/productions/{production_id}/notes")
def add_note(
    request: Request, desk: TheDesk, production_id: int, who: Reviewer, fields: Fields
) -> Response:
    """Write a note about a place."""
    form = NoteForm.model_validate(fields)
    chapter = _chapter(desk, who, production_id, form.chapter, form.audio_digest)
    with transaction(desk.engine, actor=who.name, reason="wrote a note") as session:
        note = listening.add_note(
            session, account_id=who.account_id, chapter=chapter, at_s=form.at_s, text=form.text
        )
    back = f"/productions/{production_id}/chapters/{form.chapter}?at={form.at_s:.1f}"
    return done(request, back, "The note is kept.", id=note.id)


def _chapter(desk: TheDesk, who: Visitor, production_id: int, number: int, digest: str) -> Chapter:
    """Return a mastered chapter; `digest`, where given, must be that of its present audio."""
    with Session(desk.engine) as session:
        seen(session, who, production_id)
        chapter = session.scalars(
            select(Chapter).where(Chapter.production_id == production_id, Chapter.number == number)
        ).one_or_none()
    if chapter is None or chapter.audio_key is None or chapter.audio_digest is None:
        raise NotFound(f"chapter {number} of production {production_id} has no audio yet")
    if digest and digest != chapter.audio_digest:
        raise ReviewOutdated("this chapter was mastered again: load the page anew")
    return chapter
