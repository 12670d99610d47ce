"""American English: a block of print to readings and pauses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from generation.manuscript.book import Block, BlockKind, SpanKind
from generation.script.english import pronounce, tags
from generation.script.english.foreign import SPELLINGS
from generation.script.english.heteronyms import Context
from generation.script.english.normalise import pieces
from generation.script.english.printed import Printed, regular
from generation.script.english.punctuation import final_pause, pause_between
from generation.script.english.rules import Piece, word_set
from generation.script.language import Reading, SpokenWord
from generation.script.lexicon import Lexicon
from generation.script.phonemes import Phonemes, weakened
from generation.script.units import SENTENCE_PAUSES, Pause

_LONGEST_EMPHASIS = 3
"""Words in italics up to which they are taken for stress and not for a title."""

_TAG_MARKS = {
    Pause.SEMICOLON: ":",
    Pause.COLON: ":",
    Pause.DASH: ":",
    Pause.ELLIPSIS: ":",
    Pause.OPEN: ",",
}


@dataclass(frozen=True, slots=True)
class _Word:
    """A spoken word on its way: its piece, its place in the piece, and the pause after it."""

    text: str
    piece: Piece
    pause: Pause | None
    closes: bool
    emphasised: bool
    language: str


class English:
    """General American for any English print."""

    tag = "en-US"

    def read(self, block: Block, lexicon: Lexicon) -> Iterator[Reading | Pause]:
        """Yield the block's readings and the pauses between them, in order of the print."""
        printed = regular(block.text)
        found = pieces(printed.text, block.kind, lexicon)
        sentence: list[_Word] = []
        for word in _spoken(block, printed, found):
            sentence.append(word)
            if word.pause in SENTENCE_PAUSES:
                yield from _read_sentence(sentence, printed)
                sentence = []
        yield from _read_sentence(sentence, printed)


def _spoken(block: Block, printed: Printed, found: Sequence[Piece]) -> Iterator[_Word]:
    """Yield every spoken word with the pause that follows it."""
    text = printed.text
    shouting = block.kind is BlockKind.HEADING or text.isupper()
    for i, piece in enumerate(found):
        following = found[i + 1] if i + 1 < len(found) else None
        if following is None:
            outer = final_pause(text[piece.end :])
        else:
            gap = text[piece.end : following.start]
            outer = pause_between(gap, piece.may_end, following.spoken, text[following.start :])
        emphasised, language = _marks(block, printed, piece)
        emphasised = emphasised or (_in_capitals(piece, text) and not shouting)
        words = piece.spoken.split()
        for j, word in enumerate(words):
            closes = j == len(words) - 1
            inner = Pause.COMMA if word.endswith(",") else None
            yield _Word(
                word.rstrip(","), piece, outer if closes else inner, closes, emphasised, language
            )


def _in_capitals(piece: Piece, text: str) -> bool:
    word = text[piece.start : piece.end]
    return piece.plain and len(word) > 1 and word.isupper() and pronounce.is_word(word)


def _marks(block: Block, printed: Printed, piece: Piece) -> tuple[bool, str]:
    """Return whether the print stresses a piece, and its language if it is not the book's."""
    emphasised, language = False, ""
    if block.spans:
        start, end = printed.span(piece.start, piece.end)
        for span in block.spans:
            if not (span.start <= start and end <= span.end):
                continue
            if span.kind is SpanKind.LANGUAGE and span.value.split("-")[0].lower() in SPELLINGS:
                language = span.value
            elif span.kind is SpanKind.EMPHASIS:
                words = block.text[span.start : span.end].split()
                emphasised = len(words) == 1 or (
                    len(words) <= _LONGEST_EMPHASIS and all(w.islower() for w in words)
                )
    return emphasised, language


def _read_sentence(words: list[_Word], printed: Printed) -> Iterator[Reading | Pause]:
    """Pronounce a sentence from its end (a word's form depends on the next) and yield it in order."""
    said = _pronounce(words)
    group: list[SpokenWord] = []
    for word, saying in zip(words, said, strict=True):
        inner = None if word.closes else word.pause
        group.append(SpokenWord(word.text, saying.phonemes, saying.guessed, inner))
        if word.closes:
            start, end = printed.span(word.piece.start, word.piece.end)
            yield Reading(start, end, tuple(group))
            group = []
            if word.pause is not None:
                yield word.pause


def _pronounce(words: list[_Word]) -> list[pronounce.Saying]:
    contexts = _contexts(words)
    said: list[pronounce.Saying] = []
    next_vowel = False
    for i in range(len(words) - 1, -1, -1):
        word = words[i]
        at_pause = word.pause is not None or i == len(words) - 1
        following = words[i + 1] if i + 1 < len(words) else None
        saying = _say(word, following, contexts[i], next_vowel and not at_pause, at_pause)
        said.append(saying)
        next_vowel = pronounce.starts_with_vowel(saying.phonemes)
    said.reverse()
    return said


def _contexts(words: list[_Word]) -> list[Context | None]:
    """Tag the sentence if any of its words sounds by its use; pauses are tokens of it."""
    if not any(pronounce.needs_tag(w.text) for w in words):
        return [None] * len(words)
    tokens: list[str] = []
    at: list[int] = []
    for word in words:
        at.append(len(tokens))
        tokens.append(word.text)
        if word.pause is not None:
            tokens.append(_TAG_MARKS.get(word.pause, word.pause.value))
    penn = tags.tag(tokens)
    lowered = [t.lower() for t in tokens]
    return [Context(lowered, penn, i, tokens[i][:1].isupper()) for i in at]


def _say(
    word: _Word, following: _Word | None, context: Context | None, next_vowel: bool, at_pause: bool
) -> pronounce.Saying:
    piece = word.piece
    if piece.phonemes:
        return pronounce.Saying(piece.phonemes)
    nearest = following if following is not None and word.pause is None else None
    if nearest is not None and _is_stutter(word, nearest):
        return pronounce.Saying(_stutter(nearest.text))
    if len(word.text) == 1 and _is_letter_name(word, context, at_pause):
        spelled = pronounce.letter(word.text)
        more = (
            nearest is not None and len(nearest.text) == 1 and _is_letter_name(nearest, None, False)
        )
        return pronounce.Saying(weakened(spelled) if more else spelled)
    if word.language and (foreign := pronounce.of_language(word.text, word.language)):
        return foreign
    return pronounce.in_context(word.text, context, next_vowel, at_pause, word.emphasised)


_LETTERED = word_set(
    """
    plan vitamin grade class letter type point group hepatitis section platform exhibit
    """
)


def _is_letter_name(word: _Word, context: Context | None, at_pause: bool) -> bool:
    if not word.text.isalpha():
        return False
    if not word.piece.plain:
        return word.text.isupper()
    if word.text in ("A", "I", "a", "O", "o"):
        return (
            word.text == "A"
            and context is not None
            and (context.word(-1) in _LETTERED or (at_pause and context.at > 0))
        )
    return True


def _is_stutter(word: _Word, following: _Word) -> bool:
    """Whether a word is a false start of the next, hyphened to it: b-but, ch-chow."""
    start = word.text.lower()
    return (
        word.piece is following.piece
        and word.piece.plain
        and not set(start) & set("aeiouy")
        and following.text.lower().startswith(start)
    )


def _stutter(word: str) -> Phonemes:
    """Return the first sounds of a word about to be said: b-but."""
    phonemes = pronounce.plain(word).phonemes
    onset = next((i for i, u in enumerate(phonemes) if len(u) == 2), len(phonemes))
    return (*phonemes[: max(onset, 1)], "ə0") if onset else phonemes[:1]
