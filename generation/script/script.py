"""A chapter to its script: every block read aloud, laid out as units, with the pauses between blocks.

A sentence ends in one of . ? ! and only a break (¶ # § ∎) may follow that; no other two pauses ever meet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from generation.manuscript.book import Block, BlockKind, Chapter
from generation.script.english import English
from generation.script.language import Language, Reading
from generation.script.lexicon import Lexicon
from generation.script.units import BREAK_PAUSES, SENTENCE_PAUSES, Pause, Script, Unit, Word

_BREAKS = {BlockKind.HEADING: Pause.HEADING}
_SCENE_MARKS = frozenset("*#·•~-–—=_⁂❦✻❧☙◆ \u00a0\u2060")


def write_script(
    chapter: Chapter, lexicon: Lexicon | None = None, language: Language | None = None
) -> Script:
    """Return the script of a chapter: what will be said, in units, and the printed words it comes from.

    `lexicon` holds the book's own pronunciations; `language` defaults to American English. A chapter without
    words is a lone chapter end.
    """
    desk = _Desk()
    reader = language or English()
    for block, following in _with_next(chapter.blocks):
        if block.kind is BlockKind.SCENE_BREAK or _is_ornament(block.text):
            desk.scene()
            continue
        desk.block(block, reader.read(block, lexicon or Lexicon()))
        desk.end_block(block, following)
    desk.end_chapter()
    return Script(chapter.title, tuple(desk.units), tuple(desk.words))


def _with_next(blocks: Sequence[Block]) -> Iterator[tuple[Block, Block | None]]:
    for i, block in enumerate(blocks):
        yield block, blocks[i + 1] if i + 1 < len(blocks) else None


def _is_ornament(text: str) -> bool:
    return not any(c.isalnum() for c in text) and all(c in _SCENE_MARKS for c in text)


@dataclass
class _Desk:
    """The script being written."""

    units: list[Unit] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)

    def block(self, block: Block, readings: Iterator[Reading | Pause]) -> None:
        for reading in readings:
            if isinstance(reading, Pause):
                self._pause(reading)
            elif any(w.phonemes for w in reading.words):
                self._word(block, reading)

    def _word(self, block: Block, reading: Reading) -> None:
        number = len(self.words)
        for spoken in reading.words:
            for i, symbol in enumerate(spoken.phonemes):
                self.units.append(Unit(symbol, number, word_start=i == 0))
            if spoken.pause is not None:
                self.units.append(Unit(spoken.pause.value))
        self.words.append(
            Word(
                text=block.text[reading.start : reading.end],
                spoken=" ".join(w.text for w in reading.words),
                place=block.place(reading.start, reading.end),
                guessed=any(w.guessed for w in reading.words),
            )
        )

    @property
    def _last(self) -> Pause | None:
        """The pause the script ends in so far, None after a word."""
        if self.units and self.units[-1].word < 0:
            return Pause(self.units[-1].symbol)
        return None

    def _pause(self, pause: Pause) -> None:
        """Add a pause after a word; one that meets another gives way to the heavier."""
        if not self.units:
            return
        last = self._last
        if last is None:
            self.units.append(Unit(pause.value))
        elif pause in SENTENCE_PAUSES and last not in SENTENCE_PAUSES | BREAK_PAUSES:
            self.units[-1] = Unit(pause.value)

    def _end_sentence(self) -> None:
        if not self.units or self._last in SENTENCE_PAUSES | BREAK_PAUSES:
            return
        if self._last is not None:
            self.units[-1] = Unit(Pause.PERIOD.value)
        else:
            self.units.append(Unit(Pause.PERIOD.value))

    def end_block(self, block: Block, following: Block | None) -> None:
        if (
            block.kind is BlockKind.VERSE
            and following is not None
            and following.kind is BlockKind.VERSE
        ):
            self._pause(Pause.COMMA)
            return
        self._break(_BREAKS.get(block.kind, Pause.PARAGRAPH))

    def scene(self) -> None:
        self._break(Pause.SCENE)

    def _break(self, pause: Pause) -> None:
        """End the sentence and add a break; a scene replaces a paragraph's end, nothing a heading's."""
        if not self.units:
            return
        self._end_sentence()
        if self._last not in BREAK_PAUSES:
            self.units.append(Unit(pause.value))
        elif pause is Pause.SCENE and self._last is Pause.PARAGRAPH:
            self.units[-1] = Unit(pause.value)

    def end_chapter(self) -> None:
        self._end_sentence()
        if self._last in BREAK_PAUSES:
            self.units[-1] = Unit(Pause.CHAPTER.value)
        else:
            self.units.append(Unit(Pause.CHAPTER.value))
