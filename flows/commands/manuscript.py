"""Commands on a manuscript: `lectern chapters` lists it, `lectern narrate` makes its audiobook."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flows.terminal import Exit, Json, console, errors_said, failed, progress_bar


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
    """Narrate a manuscript: FLAC and MP3 a chapter, an M4B of the whole, and release.json."""
    from flows.narrate import default_device
    from flows.narrate import narrate as narrate_book
    from flows.settings import Settings
    from flows.voices import UnknownVoice, find_voice
    from generation.voices import load_cast

    with errors_said(), progress_bar() as bar:
        task = bar.add_task("reading", total=None)
        with TemporaryDirectory() as folder:
            try:
                found = find_voice(voice, Settings(), Path(folder), consent, own_voice)
            except UnknownVoice as error:
                failed(error)
                raise typer.Exit(Exit.USAGE) from error
            if found.experimental:
                console.print(f"lectern: the voice {found.name} is experimental: listen closely")
            cast = load_cast(found, default_device())
        done = narrate_book(
            book,
            cast,
            out,
            chapters,
            seed,
            lexicon,
            lambda p: bar.update(
                task,
                total=p.expected_s,
                completed=p.made_s,
                description="narrating" if p.made_s < p.expected_s else "mastering",
            ),
        )
    release = done.release
    if as_json:
        print(json.dumps({"out": str(done.out), "duration_s": release.duration_s,
                          "chapters": len(release.chapters), "forced": done.forced,
                          "content_digest": release.content_digest}))  # fmt: skip
    else:
        minutes = release.duration_s / 60
        print(f"{release.book.title}: {len(release.chapters)} chapters, {minutes:.1f} minutes")
        print(done.out)
    if done.forced:
        console.print(f"lectern: {done.forced} advances were forced; listen before you publish")
        raise typer.Exit(Exit.NEEDS_REVIEW)
