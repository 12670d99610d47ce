"""Commands of `lectern bench`: a night of trouble, kills at every moment, and a full queue."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.house_voice import house_cast
from flows.terminal import Exit, Json, console, errors_said

bench = typer.Typer(help="Measure the machinery.", no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Option(help="An empty folder to keep everything in; a temporary one without."),
]
Log = Annotated[Path | None, typer.Option(help="Write the log there, too.")]


@bench.command()
def night(folder: Folder = None, log: Log = None, as_json: Json = False) -> None:
    """Ten books, three workers, and everything that goes wrong in one night, beside a calm one."""
    from flows.measure.bench_night import run
    from generation.numerics import one_thread

    with errors_said(), one_thread(), _place(folder) as place:
        done = run(place, say=_say)
    if log is not None:
        log.write_text("".join(f"{line}\n" for line in done.lines), "utf-8")
    _tell(done.as_json(), as_json)


@bench.command()
def kills(
    number: Annotated[int, typer.Option("--kills", min=1, help="How many, at least.")] = 30,
    each: Annotated[int, typer.Option(min=0, help="How many of each phase, at least.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 0,
    folder: Folder = None,
    log: Log = None,
    as_json: Json = False,
) -> None:
    """Kill workers (−9) at moments of every phase; nothing may be lost, doubled or different."""
    from flows.measure.bench_kills import run
    from generation.numerics import one_thread

    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        _say(line)

    with errors_said(), one_thread(), _place(folder) as place:
        done = run(place, number, least_each=each, seed=seed, say=say)
    if log is not None:
        log.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    _tell(done.as_json(), as_json)


@bench.command()
def queue(
    deep: Annotated[int, typer.Option(min=2000, help="Windows queued.")] = 100_000,
    as_json: Json = False,
) -> None:
    """Lease and complete windows singly and in batches, with few and with many queued, fsync on."""
    from storage.bench import run
    from storage.postgres import Cluster

    with errors_said(), _place(None) as place:
        cluster = Cluster(place / "home")
        try:
            cluster.start()
            found = run(cluster.socket_url("postgres"), deep=deep)
        finally:
            cluster.destroy()
    _tell(found.as_json(), as_json)


@bench.command()
def packages(
    book: Path,
    chapters: Annotated[str, typer.Option(help='Which chapters, such as "1-2".')] = "1-2",
    minutes: Annotated[float, typer.Option(min=0.5, help="Read so much of each.")] = 600,
    offsets: Annotated[int, typer.Option(min=0, help="Random offsets of each file.")] = 200,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """A book read by the teacher, to a verified release: cost, read-along, and every file tampered with."""
    from flows.measure.bench_packages import run

    with errors_said(), _place(folder) as place:
        done = run(place, book, chapters, minutes, offsets)
    _tell(done, as_json)


@bench.command()
def repair(
    books: Annotated[list[Path], typer.Argument(help="Books of the frozen held-out list.")],
    voice: Annotated[str, typer.Option(help="A house voice.")] = "joe",
    other: Annotated[str, typer.Option(help="The house voice of windows in a wrong one.")] = (
        "kathleen"
    ),
    words: Annotated[int, typer.Option(min=300, help="Least number of words to read.")] = 3000,
    injected: Annotated[int, typer.Option(min=3, help="Windows that get a failure.")] = 45,
    seed: Annotated[int, typer.Option(help="Another seed gives another reading.")] = 0,
    as_json: Json = False,
) -> None:
    """Read failing windows again; what proves the cure is not what chose the take."""
    from flows.measure.bench_repair import run

    cast, stranger = house_cast(voice), house_cast(other)
    with errors_said():
        done = run(cast, stranger, books, words, injected, seed, say=_say)
    _tell(done.as_json(), as_json)


@bench.command()
def takes(
    books: Annotated[list[Path], typer.Argument(help="Books of the frozen held-out list.")],
    voice: Annotated[str, typer.Option(help="A house voice.")] = "joe",
    words: Annotated[int, typer.Option(min=300, help="Least number of words to read.")] = 3000,
    number: Annotated[int, typer.Option("--takes", min=2, help="Takes of every window.")] = 4,
    seed: Annotated[int, typer.Option(help="Another seed gives another reading.")] = 0,
    as_json: Json = False,
) -> None:
    """Say for each limit of a take's wrong words how many takes it costs and what it gains."""
    from flows.measure.bench_takes import run

    cast = house_cast(voice)
    with errors_said():
        done = run(cast, books, words, number, seed, say=_say)
    _tell(done, as_json)


@bench.command("read-along")
def read_along(
    release: Annotated[Path, typer.Argument(help="A release's folder.")],
    book: Annotated[Path, typer.Argument(help="Its manuscript, for the teacher to read.")],
    chapters: Annotated[
        str, typer.Option(help='Which chapters the teacher reads, such as "1".')
    ] = "1",
    minutes: Annotated[float, typer.Option(min=0.5, help="How much of each it reads.")] = 10,
    every: Annotated[int, typer.Option(min=1, help="Only every n-th stretch of the release.")] = 1,
    as_json: Json = False,
) -> None:
    """A narration's read-along beside a forced aligner, and that aligner's own error on exact times."""
    from flows.measure.read_along import run

    with errors_said():
        done = run(release, book, chapters, minutes, every)
    _tell(done, as_json)


def _tell(told: dict[str, Any], as_json: bool) -> None:
    """Show figures; exit code 1 where they fall short."""
    if as_json:
        print(json.dumps(told))
    else:
        for name, value in told.items():
            if not isinstance(value, list | tuple):
                print(f"{name:24} {value}")
    if not told["passes"]:
        raise typer.Exit(Exit.FAILED)


def _say(line: str) -> None:
    console.print(line, markup=False, highlight=False)


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    """Give an empty folder: the one asked for, or a temporary one."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="lectern-bench-") as made:
            yield Path(made)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        console.print(f"lectern: {folder} is not empty: give another folder")
        raise typer.Exit(Exit.USAGE)
    yield folder
