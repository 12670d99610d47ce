"""A book's own pronunciations: a TOML file that says how its names and odd words are to be read.

    [words]
    Cthulhu = "kuh-THOO-loo"              # respelled: hyphens between syllables, capitals for stress
    Lestrade = { phonemes = "lɛstɹˈɑd" }  # phonemes, as in the misaki lexicons or in IPA
    "MSS." = { say = "manuscripts" }      # other words to say instead

A key in lower case matches any case; one with capitals matches as it stands and in full capitals. Possessives
and plurals follow of themselves.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from generation.errors import LexiconError
from generation.script.phonemes import (
    Phonemes,
    UnreadablePhonemesError,
    parse_ipa,
    parse_respelling,
    stress_of,
    stressed,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """How one word is read: by `phonemes`, or by saying other words (`say`) in its place."""

    word: str
    phonemes: Phonemes = ()
    say: str = ""


@dataclass(frozen=True)
class Lexicon:
    """A book's pronunciations by word; an empty one changes nothing."""

    entries: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Lexicon":
        """Read a lexicon file.

        Raises `LexiconError` naming the file, the line and the word for anything that cannot be used.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LexiconError(f"The lexicon {path} cannot be read: {error}.") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, source: str = "lexicon") -> "Lexicon":
        """Read a lexicon from the text of its file; `source` is what errors call it."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise LexiconError(f"{source} is not valid TOML: {error}.") from error
        for key in table:
            if key != "words":
                raise _error(
                    source, text, key, "is not known here; pronunciations go under [words]"
                )
        words = table.get("words", {})
        if not isinstance(words, dict):
            raise _error(
                source, text, "words", "must be a table: write [words], then one word a line"
            )
        return cls({word: _entry(source, text, word, value) for word, value in words.items()})

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> "Lexicon":
        """Make a lexicon of words and what a file would say of each; raises `LexiconError`."""
        return cls({word: _entry("pronunciations", "", word, said) for word, said in words.items()})

    @property
    def digest(self) -> str:
        """SHA-256 over the entries in canonical form, hex: comments, order and spacing do not change it."""
        canonical = sorted((e.word, e.phonemes, e.say) for e in self.entries.values())
        return hashlib.sha256(json.dumps(canonical, ensure_ascii=False).encode()).hexdigest()

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """A pattern for the words of the lexicon in print, with a possessive or plural "ending"."""
        if not self.entries:
            return None
        keys = "|".join(_key_pattern(w) for w in sorted(self.entries, key=len, reverse=True))
        return re.compile(rf"(?<![\w'])(?P<word>{keys})(?P<ending>'s|s|'|)(?![\w])")

    def find(self, printed: str) -> Entry:
        """Return the entry that `pattern` matched as `printed`."""
        for form in (printed, printed.lower()):
            if form in self.entries:
                return self.entries[form]
        return next(e for w, e in self.entries.items() if w.upper() == printed)


def _key_pattern(word: str) -> str:
    escaped = re.escape(word)
    if word == word.lower():
        return f"(?i:{escaped})"
    return f"{escaped}|{re.escape(word.upper())}"


def _entry(source: str, text: str, word: str, value: Any) -> Entry:
    if not word.strip() or re.search(r"\s", word):
        raise _error(source, text, word, "is not one word; give each word a line of its own")
    if isinstance(value, str):
        return Entry(word, phonemes=_phonemes(source, text, word, value, respelled=True))
    if not isinstance(value, dict):
        raise _error(source, text, word, 'needs a respelling such as "kuh-THOO-loo"')
    if set(value) == {"say"} and isinstance(value["say"], str) and value["say"].strip():
        return Entry(word, say=" ".join(value["say"].split()))
    if set(value) == {"phonemes"} and isinstance(value["phonemes"], str):
        return Entry(
            word, phonemes=_phonemes(source, text, word, value["phonemes"], respelled=False)
        )
    unknown = ", ".join(sorted(set(value) - {"say", "phonemes"})) or "what is given"
    raise _error(source, text, word, f"takes either phonemes or say, each a text; not {unknown}")


def _phonemes(source: str, text: str, word: str, notation: str, respelled: bool) -> Phonemes:
    notation = notation.strip()
    if notation.startswith("/") and notation.endswith("/") and len(notation) > 2:
        notation, respelled = notation[1:-1], False
    if not notation.isascii():
        respelled = False
    try:
        units = parse_respelling(notation) if respelled else parse_ipa(notation)
    except UnreadablePhonemesError as error:
        hint = 'write a respelling such as "kuh-THOO-loo" or phonemes such as "kəθˈulu"'
        raise _error(source, text, word, f"cannot be pronounced: {error}; {hint}") from error
    return units if stress_of(units) == "1" else stressed(units)


def _error(source: str, text: str, key: str, problem: str) -> LexiconError:
    """Make the error for `key`, with the line it stands on."""
    plain = re.compile(rf"""^\s*\[?\s*(["']?){re.escape(key)}\1\s*(=|\]|\.)""")
    for number, line in enumerate(text.splitlines(), start=1):
        if plain.match(line):
            return LexiconError(f"{source}, line {number}: {key!r} {problem}.")
    return LexiconError(f"{source}: {key!r} {problem}.")
