"""The pronouncing dictionaries: misaki's for American English (Apache-2.0), then gruut's (MIT).

Loaded on first use. Keys keep their case; an entry is a pronunciation in the lexicons' shorthand, or
several by part of speech.
"""

import json
import sqlite3
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path

Entry = str | dict[str, str | None]
REMEMBERED_WORDS = 65_536
"""Words whose sounds are kept at hand; bounded, so that a long night does not fill the memory."""


@cache
def _misaki() -> dict[str, Entry]:
    merged: dict[str, Entry] = {}
    for name in ("us_silver.json", "us_gold.json"):
        with resources.files("misaki.data").joinpath(name).open(encoding="utf-8") as file:
            merged.update(json.load(file))
    return merged


def entry(word: str) -> Entry | None:
    """Return the entry of a word exactly as written, or None."""
    return _misaki().get(word)


@cache
def gruut_folder() -> Path:
    """Return the folder of gruut's English data."""
    return Path(str(resources.files("gruut_lang_en")))


@cache
def _gruut() -> sqlite3.Connection:
    path = gruut_folder() / "lexicon.db"
    return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, check_same_thread=False)


@lru_cache(maxsize=REMEMBERED_WORDS)
def gruut_ipa(word: str) -> str | None:
    """Return gruut's pronunciation of a word in lower case as IPA, or None."""
    query = "SELECT phonemes FROM word_phonemes WHERE word = ? ORDER BY pron_order LIMIT 1"
    row = _gruut().execute(query, (word,)).fetchone()
    return str(row[0]).replace(" ", "") if row else None
