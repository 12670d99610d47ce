"""Commands on productions: submit a book, see how it stands, steer it, decide on it, ask for another take."""

import getpass
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from flows.terminal import Exit, Json, console, errors_said

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from flows.services import Services
    from storage.models import Production, Window

Id = Annotated[int, typer.Argument(metavar="ID", help="Number of the production.")]
Report = Annotated[str, typer.Option(help="Digest of the report that the decision is on.")]
Note = Annotated[str, typer.Option(help="Why; it is kept with the decision.")]
Reviewer = Annotated[str, typer.Option(help="Who decides; you, if nothing is said.")]


def submit(
    book: Path,
    voice: Annotated[str, typer.Option(help="A house voice or an enrolled one.")] = "joe",
    metadata: Annotated[Path | None, typer.Option(help="What to say of the book (TOML).")] = None,
    priority: Annotated[
        int, typer.Option(min=-100, max=100, help="Each point is worth six hours of waiting.")
    ] = 0,
    due: Annotated[str, typer.Option(help="Date it is wanted by: YYYY-MM-DD.")] = "",
    chapters: Annotated[str, typer.Option(help='Which chapters, such as "1-3,5".')] = "",
    seed: Annotated[int, typer.Option(help="Another seed gives another reading.")] = 0,
    lexicon: Annotated[Path | None, typer.Option(help="The book's pronunciations (TOML).")] = None,
    credits: Annotated[bool, typer.Option(help="Opening and closing credits, spoken.")] = True,
    as_json: Json = False,
) -> None:
    """Queue a book for the night; prints its number, its words and the hours it is expected to take."""
    from flows.factory.intake import Submission, narrator_named, read_wish
    from flows.factory.intake import submit as submit_book

    with errors_said(), _services() as opened:
        wish = replace(read_wish(chapters, seed, lexicon, priority, _due(due)), credits=credits)
        said = Submission.load(metadata) if metadata else None
        narrator = narrator_named(opened, voice, "lectern submit")
        production = submit_book(opened, book, narrator, wish, said)
        told = {
            "id": production.id,
            "state": production.state,
            "words": production.words,
            "expected_audio_h": round((production.expected_audio_s or 0) / 3600, 2),
            "expected_machine_h": round((production.expected_machine_s or 0) / 3600, 2),
        }
    if as_json:
        print(json.dumps(told))
        return
    print(
        f"production {told['id']} ({told['state']}): {told['words']} words,"
        f" {told['expected_audio_h']:.2f} h of audio,"
        f" {told['expected_machine_h']:.2f} h of machine time"
    )


def status(
    production_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="Number of a production; all without.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show all productions that are open, or one with everything that stands in its way."""
    from sqlalchemy.orm import Session

    with errors_said(), _services() as opened, Session(opened.engine) as session:
        if production_id is None:
            told: Any = _all(session)
        else:
            told = _one(opened, session, production_id)
    if as_json:
        print(json.dumps(told, default=str))
    elif production_id is None:
        _print_all(told)
    else:
        _print_one(told)


def cancel(production_id: Id, as_json: Json = False) -> None:
    """Cancel a production for good; whoever works on it stops."""
    from storage import productions

    _steer(production_id, "cancelled by a person", productions.cancel, as_json)


def retry(production_id: Id, as_json: Json = False) -> None:
    """Take up a failed or refused production where it stands, or free one whose machines are gone."""
    from storage import productions

    _steer(production_id, "tried again by a person", productions.retry, as_json)


def approve(
    production_id: Id, report: Report, note: Note = "", by: Reviewer = "", as_json: Json = False
) -> None:
    """Approve a production by the digest of its last report; it may be published then."""
    _decide(production_id, report, note, by, approved=True, as_json=as_json)


def reject(
    production_id: Id, report: Report, note: Note, by: Reviewer = "", as_json: Json = False
) -> None:
    """Reject a production by the digest of its last report, and say why."""
    _decide(production_id, report, note, by, approved=False, as_json=as_json)


def redo(
    production_id: Id,
    chapter: Annotated[int, typer.Option(help="Number of the chapter in the source.")],
    at: Annotated[str, typer.Option(help="Where it is heard: MM:SS or HH:MM:SS.")],
    say: Annotated[
        list[str] | None, typer.Option(help='How to say a word there: "word=pronunciation".')
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask for another take of the window that is heard at a moment of a mastered chapter."""
    from storage import productions
    from storage.database import transaction

    with errors_said(), _services() as opened:
        directions = _directions(say or [])
        window = _window_at(opened, production_id, chapter, _seconds(at))
        reason = f"another take of chapter {chapter} at {at} is wanted"
        with transaction(opened.engine, actor=getpass.getuser(), reason=reason) as session:
            asked = productions.redo(session, window.id, directions=directions)
            told = {
                "id": production_id,
                "chapter": chapter,
                "window": asked.number,
                "take": asked.take,
                "directions": asked.directions,
            }
    if as_json:
        print(json.dumps(told))
    else:
        print(f"take {asked.take} of window {asked.number} of chapter {chapter} is queued")


# What the commands share -------------------------------------------------------------------------


def _services() -> Any:
    from flows.services import services
    from flows.settings import Settings

    return services(Settings())


def _steer(production_id: int, reason: str, step: Any, as_json: bool) -> None:
    from storage.database import transaction

    with (
        errors_said(),
        _services() as opened,
        transaction(opened.engine, actor=getpass.getuser(), reason=reason) as session,
    ):
        state = step(session, production_id).state
    if as_json:
        print(json.dumps({"id": production_id, "state": state}))
    else:
        print(f"production {production_id} is {state}")


def _decide(
    production_id: int, report: str, note: str, by: str, *, approved: bool, as_json: bool
) -> None:
    from storage import productions
    from storage.database import transaction

    reviewer = by or getpass.getuser()
    with errors_said(), _services() as opened:
        reason = note or f"decided on report {report[:12]}"
        with transaction(opened.engine, actor=reviewer, reason=reason) as session:
            review = productions.decide(
                session,
                production_id,
                report_digest=report,
                approved=approved,
                reviewer=reviewer,
                note=note,
                four_eyes=opened.settings.review_four_eyes,
            )
            decision = review.decision
    if as_json:
        print(json.dumps({"id": production_id, "decision": decision, "reviewer": reviewer}))
    else:
        print(f"production {production_id} is {decision} by {reviewer}")


def _all(session: "Session") -> list[dict[str, Any]]:
    from storage import productions
    from storage.states import ProductionState

    shown = [state for state in ProductionState if state is not ProductionState.CANCELLED]
    return [_facts(session, one) for one in productions.in_states(session, *shown)]


def _facts(session: "Session", production: "Production") -> dict[str, Any]:
    from storage import productions

    progress = productions.progress(session, production.id)
    report = productions.last_report(session, production.id)
    return {
        "id": production.id,
        "title": production.manuscript.title,
        "voice": production.voice.name,
        "state": production.state,
        "trouble": production.trouble,
        "priority": production.priority,
        "due_at": production.due_at,
        "submitted_at": production.submitted_at,
        "words": production.words,
        "done": round(progress.done, 3),
        "rendered_s": round(progress.rendered_s, 1),
        "report": report.digest if report else None,
        "verdict": report.verdict if report else None,
        "content_digest": production.content_digest,
    }


def _one(opened: "Services", session: "Session", production_id: int) -> dict[str, Any]:
    from storage import productions
    from storage.queue import Queue

    production = productions.get(session, production_id)
    progress = productions.progress(session, production_id)
    dead = [
        {"chapter": one.chapter_number, "window": one.number, "trouble": one.trouble}
        for one in Queue(opened.engine, "status").dead_letters()
        if one.production_id == production_id
    ]
    events = [
        {"at": e.at, "who": e.actor, "why": e.reason, "from": e.from_state, "to": e.to_state}
        for e in productions.events(session, production_id)
        if e.subject in {"production", "qa_report", "review", "release"}
    ]
    return {
        **_facts(session, production),
        "expected_audio_s": production.expected_audio_s,
        "expected_machine_s": production.expected_machine_s,
        "windows": dict(progress.windows),
        "chapters": [
            {
                "number": chapter.number,
                "title": chapter.title,
                "state": chapter.state,
                "read": chapter.cursor,
                "windows": chapter.windows,
                "duration_s": chapter.duration_s,
            }
            for chapter in production.chapters
        ],
        "dead_letters": dead,
        "events": events,
    }


def _print_all(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Productions, first in the queue first")
    for heading in ("id", "title", "voice", "state", "done", "verdict", "trouble"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            *(str(row["id"]), row["title"], row["voice"], row["state"], f"{row['done']:.0%}"),
            *(row["verdict"] or "", row["trouble"] or ""),
        )
    Console().print(table)


def _print_one(told: dict[str, Any]) -> None:
    print(f"{told['id']}  {told['title']}, read by {told['voice']}: {told['state']}")
    if told["trouble"]:
        print(f"    {told['trouble']}")
    print(f"    {told['done']:.0%} of the windows accepted, {told['rendered_s']:.0f} s rendered")
    if told["report"]:
        print(f"    report {told['report']}: {told['verdict']}")
    table = Table()
    for heading in ("chapter", "title", "state", "read", "length"):
        table.add_column(heading)
    for one in told["chapters"]:
        length = f"{one['duration_s']:.0f} s" if one["duration_s"] else ""
        read = f"{one['read']}/{one['windows']}"
        table.add_row(str(one["number"]), one["title"], one["state"], read, length)
    Console().print(table)
    for one in told["dead_letters"]:
        print(f"    given up: chapter {one['chapter']} window {one['window']}: {one['trouble']}")


def _due(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        console.print(f"lectern: {text!r} is no date: write it as 2026-12-24")
        raise typer.Exit(Exit.USAGE) from None


def _seconds(text: str) -> float:
    if not re.fullmatch(r"(\d+:)?\d{1,3}:\d{2}(\.\d+)?", text):
        console.print(f"lectern: {text!r} is no moment: write it as 12:34 (minutes:seconds)")
        raise typer.Exit(Exit.USAGE)
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def _directions(say: list[str]) -> dict[str, str]:
    from flows.factory.studio import lexicon_with

    directions = {}
    for one in say:
        word, equals, said = one.partition("=")
        if not equals or not word.strip() or not said.strip():
            console.print(f'lectern: {one!r} is no pronunciation: write --say "word=WURD"')
            raise typer.Exit(Exit.USAGE)
        directions[word.strip()] = said.strip()
    lexicon_with("", directions)  # what cannot be pronounced is said now, not during the night
    return directions


def _window_at(opened: "Services", production_id: int, number: int, at_s: float) -> "Window":
    """Return the window that is heard at a moment of a chapter."""
    from sqlalchemy import select
    from sqlalchemy.orm import Session

    from generation.mastering.times import ChapterTimes
    from storage import productions
    from storage.errors import NotFound
    from storage.models import Window

    with Session(opened.engine, expire_on_commit=False) as session:
        production = productions.get(session, production_id)
        chapter = next((one for one in production.chapters if one.number == number), None)
        if chapter is None or chapter.times_key is None:
            raise NotFound(f"production {production_id} has no mastered chapter {number}")
        times = ChapterTimes.model_validate_json(
            opened.store.get(chapter.times_key, digest=chapter.times_digest)
        )
        heard = [window for window in times.windows if window.start_s <= at_s]
        if not heard or at_s > (chapter.duration_s or 0.0):
            raise NotFound(
                f"chapter {number} lasts {chapter.duration_s:.0f} s: nothing is at {at_s:.0f} s"
            )
        place = Window.chapter_id == chapter.id, Window.number == heard[-1].number
        return session.scalars(select(Window).where(*place)).one()
