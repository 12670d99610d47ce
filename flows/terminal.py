"""What every command shares: exit codes, the `--json` option, the error console and the progress bar."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


class Exit(IntEnum):
    """What an exit code says."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NEEDS_REVIEW = 3
    REFUSED = 4


@contextmanager
def errors_said() -> Iterator[None]:
    """Turn deliberate errors into one plain line and exit code 1, or 4 where something is refused."""
    from generation.errors import LecternError
    from qa.errors import QAError
    from storage.errors import Refused, StorageError

    try:
        yield
    except Refused as error:
        failed(error)
        raise typer.Exit(Exit.REFUSED) from error
    except (LecternError, QAError, StorageError) as error:
        raise failed(error) from error


def failed(error: Exception) -> typer.Exit:
    """Say a deliberate error in one plain line; the caller raises what this returns."""
    console.print(f"lectern: {error}", style="red", markup=False, highlight=False)
    return typer.Exit(Exit.FAILED)


def progress_bar() -> Progress:
    """Make the bar that every long command shows on a terminal, and only there."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not sys.stderr.isatty(),
    )
