"""Submitting a book in the browser: the file is checked for size, then handed to who can read manuscripts."""

import mimetypes
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.datastructures import UploadFile
from starlette.responses import Response

from qa.review.access import Fields, Publisher
from qa.review.desk import TheDesk, Upload
from qa.review.pages import done, page
from storage import reviews
from storage.database import transaction
from storage.errors import Refused

router = APIRouter()

SUFFIXES = (".epub", ".docx", ".txt", ".md")
"""What manuscripts may be; their readers look closer."""

Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300)]


@dataclass(frozen=True, slots=True)
class SubmitPage:
    """The form to submit a book."""

    voices: list[str]
    suffixes: tuple[str, ...]
    most_mb: int


class SubmitForm(BaseModel):
    """What goes with a manuscript; an empty title, author or language is the manuscript's own."""

    model_config = ConfigDict(extra="ignore")

    voice: Line
    title: Line = ""
    authors: Line = ""
    language: Line = ""
    rights_holder: Annotated[Line, Field(min_length=1)]
    rights_basis: Literal["public_domain", "licence", "owned"]
    priority: Annotated[int, Field(ge=-100, le=100)] = 0


@router.get("/submit")
def submit_page(request: Request, desk: TheDesk, who: Publisher) -> Response:
    """Show the form to submit a book."""
    voices = list(desk.factory.voices()) if desk.factory else []
    most_mb = desk.options.upload_bytes >> 20
    return page(request, "submit.html", SubmitPage(voices, SUFFIXES, most_mb))


@router.post("/submit")
def submit(request: Request, desk: TheDesk, who: Publisher, fields: Fields) -> Response:
    """Queue an uploaded book."""
    if desk.factory is None:
        raise Refused("books are not taken here: submit them with `lectern submit`")
    form = SubmitForm.model_validate(fields)
    file = fields.get("manuscript")
    if not isinstance(file, UploadFile) or not file.filename:
        raise Refused("choose a manuscript")
    name = PurePosixPath(file.filename.replace("\\", "/")).name[-200:]
    if not name.isprintable() or not name.lower().endswith(SUFFIXES):
        raise Refused(f"'{name}' is none of {', '.join(SUFFIXES)}")
    with tempfile.TemporaryDirectory(prefix="lectern-upload-") as folder:
        path = Path(folder) / name
        with path.open("xb") as out:
            shutil.copyfileobj(file.file, out)
        upload = Upload(
            path=path,
            source_name=name,
            media_type=mimetypes.guess_type(name)[0] or "application/octet-stream",
            voice=form.voice,
            title=form.title,
            authors=tuple(filter(None, (part.strip() for part in form.authors.split(",")))),
            language=form.language,
            rights_holder=form.rights_holder,
            rights_basis=form.rights_basis,
            priority=form.priority,
            actor=who.name,
        )
        try:
            production_id = desk.factory.submit(upload)
        except desk.factory.refusals as error:
            raise Refused(str(error)) from error
    with transaction(desk.engine, actor=who.name, reason=f"submitted '{name}'") as session:
        reviews.record_submission(session, production_id, who.account_id)
    said = "It is queued."
    return done(request, f"/productions/{production_id}", said, production_id=production_id)
