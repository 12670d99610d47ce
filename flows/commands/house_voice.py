"""The house voice that a measuring command was asked for, loaded, or a plain word on which there are."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flows.terminal import Exit, console, errors_said

if TYPE_CHECKING:
    from generation.voices import Cast


def house_cast(voice: str, weights: Path | None = None) -> "Cast":
    """Load a house voice on the default device; says so and ends with a usage error where there is none.

    `weights`: folder whose weight files are used in place of those that ship.
    """
    from flows.factory.studio import default_device
    from generation.voices import house_voices, load_cast

    voices = house_voices()
    if voice not in voices:
        console.print(f"lectern: no voice {voice!r}: there are {', '.join(voices)}")
        raise typer.Exit(Exit.USAGE)
    with errors_said():
        return load_cast(voices[voice], default_device(), other=weights)
