"""Commands on a manuscript: `lectern chapters` lists it, `lectern narrate` makes its audiobook."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flows.terminal import Exit, Json, console, errors_said, progress_bar


def chapters(book: Path, as_json: Json = False) -> None:
    """List a manuscript's chapters and which of them are read by default."""
    from generation.manuscript import read_manuscript

    with errors_said():
        read = read_manuscript(book)
    rows = [
        {"number": c.number, "title": c.title, "kind": c.kind.value, "words": c.words}
        for c in read.chapters
    ]
    if as_json:
        print(json.dumps({"title": read.title, "authors": read.authors, "chapters": rows}))
        return
    table = Table(title=f"{read.title} — {', '.join(read.authors)}")
    for heading in ("read as", "title", "kind", "words"):
        table.add_column(heading)
    place = 0
    for row in rows:
        place += row["kind"] == "body"
        table.add_row(
            str(place) if row["kind"] == "body" else "–",
            str(row["title"]),
            str(row["kind"]),
            str(row["words"]),
        )
    Console().print(table)
    for note in read.notes:
        console.print(f"note: {note}", markup=False)


def narrate(
    book: Path,
    out: Annotated[Path, typer.Option(help="Directory for the audiobook.")],
    voice: Annotated[
        str, typer.Option(help="A house voice, an enrolled one, or a recording (WAV, FLAC).")
    ] = "joe",
    consent: Annotated[
        Path | None, typer.Option(help="For a recording: its owner's signed consent (TOML).")
    ] = None,
    own_voice: Annotated[
        str | None, typer.Option(help="For a recording of yourself: your name.")
    ] = None,
    chapters: Annotated[str, typer.Option(help='Which chapters, such as "1-3,5".')] = "",
    seed: Annotated[int, typer.Option(help="Another seed gives another reading.")] = 0,
    lexicon: Annotated[Path | None, typer.Option(help="The book's pronunciations (TOML).")] = None,
    as_json: Json = False,
) -> None:
    """Narrate a manuscript: FLAC and MP3 a chapter, an M4B of the whole, and release.json.

    Run again after it was interrupted, it goes on from the last window that was finished.
    """
    from flows.factory.intake import check, narrator_named, read_wish
    from flows.factory.narrate import narrate as narrate_book
    from flows.services import services
    from flows.settings import Settings

    with errors_said(), progress_bar() as bar:
        task = bar.add_task("starting", total=1.0)
        wish = read_wish(chapters, seed, lexicon)
        check(book, wish)
        with services(Settings()) as opened:
            narrator = narrator_named(opened, voice, "lectern narrate", consent, own_voice)
            if narrator.experimental:
                console.print(f"lectern: the voice {voice} is experimental: listen closely")
            done = narrate_book(
                opened,
                book,
                narrator,
                out,
                wish,
                report=lambda p: bar.update(task, completed=p.share, description=p.what),
            )
    release = done.release
    if as_json:
        told = {
            "out": str(done.out),
            "production": done.production_id,
            "duration_s": release.duration_s,
            "chapters": len(release.chapters),
            "takes_again": done.takes_again,
            "faulty_windows": done.faulty,
            "verdict": done.verdict,
            "report": done.report_digest,
            "content_digest": done.content_digest,
        }
        print(json.dumps(told))
    else:
        minutes = release.duration_s / 60
        print(
            f"{release.book.title}: {len(release.chapters)} chapters, {minutes:.1f} minutes"
            f" ({done.takes_again} takes again)"
        )
        print(done.out)
    for chapter in release.chapters:
        for violation in chapter.violations:
            console.print(f"lectern: chapter {chapter.number} is out of spec: {violation}")
    if done.verdict != "pass" or done.faulty or any(c.violations for c in release.chapters):
        console.print(
            f"lectern: the report says {done.verdict}, {done.faulty} windows were kept with a fault:"
            f" listen before you publish ({done.out / 'qa-report.json'})"
        )
        raise typer.Exit(Exit.NEEDS_REVIEW)
