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
    """Turn deliberate errors into one plain line and exit code: 2 usage, 4 where it is refused, or 1."""
    try:
        yield
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        failed(error)
        raise typer.Exit(code) from error


def _exit_code(error: Exception) -> Exit | None:
    """Return what a deliberate error exits with, none for any other; most runs never import all this."""
    from flows.settings import SettingsError
    from generation.errors import LecternError, UnknownVoice
    from qa.errors import QAError
    from storage.errors import Refused, StorageError

    if isinstance(error, SettingsError):
        return Exit.USAGE
    if isinstance(error, Refused):
        return Exit.REFUSED
    if isinstance(error, LecternError):
        return Exit.USAGE if isinstance(error, UnknownVoice) else Exit.FAILED
    if isinstance(error, (QAError, StorageError, OSError)):
        return Exit.FAILED
    return None


def failed(error: Exception) -> typer.Exit:
    """Say a deliberate error in one plain line; the caller raises what this returns."""
    console.print(f"lectern: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
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
