"""What a language must do for the script: read a block of print as spoken words and pauses, nothing more.

Everything that assumes English (or any language) stays behind `Language`; the rest of Lectern sees readings,
pauses and units.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from generation.manuscript.book import Block
from generation.script.lexicon import Lexicon
from generation.script.units import Pause


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word as said: its spelling, its phonemes (symbols of the inventory), and a pause inside the print.

    `guessed` marks a word that no lexicon or rule knew; `pause` is one that belongs after this word although
    the printed word goes on (between the groups of a phone number).
    """

    text: str
    phonemes: tuple[str, ...]
    guessed: bool = False
    pause: Pause | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One printed word, `text[start:end]` of its block, and what is said for it."""

    start: int
    end: int
    words: tuple[SpokenWord, ...]


class Language(Protocol):
    """Reads print aloud."""

    tag: str
    """BCP 47 tag of what is read."""

    def read(self, block: Block, lexicon: Lexicon) -> Iterator[Reading | Pause]:
        """Yield the block's readings and the pauses between them, in order of the print."""
        ...
