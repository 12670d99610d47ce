"""A book's own pronunciations: what they change, what they leave alone, and what a bad file is told."""

from pathlib import Path

import pytest
from writing import script_of, sound, spoken

from generation.errors import LexiconError
from generation.script import Lexicon, Script

GOOD = """
# Names of the house
[words]
Cthulhu = "kuh-THOO-loo"
Lestrade = { phonemes = "ləstɹˈɑd" }
"MSS." = { say = "manuscripts" }
data = "DAT-uh"
"""


def test_lexicon_is_heard_in_every_form() -> None:
    lexicon = Lexicon.parse(GOOD)
    assert sound("Great Cthulhu sleeps.", "Cthulhu", lexicon) == "kə0θu1lu0"
    assert sound("Cthulhu's house.", "Cthulhu's", lexicon) == "kə0θu1lu0z"
    assert sound("CTHULHU!", "CTHULHU", lexicon) == "kə0θu1lu0"
    assert sound("Lestrade’s men", "Lestrade's", lexicon) == "lə0stɹɑ1dz"
    assert sound("Data and data", "Data", lexicon) == "dæ1tə0"
    assert spoken(script_of("Two MSS. of it", lexicon=lexicon)) == "Two manuscripts of it"


def test_lexicon_changes_nothing_else() -> None:
    text = "Lestrade read the data aloud; Lestrades and databases, cthulhu and Mr. Holmes did not."
    with_it, without = script_of(text, lexicon=Lexicon.parse(GOOD)), script_of(text)
    touched = {"Lestrade", "data", "Lestrades"}
    assert [w.text for w in with_it.words] == [w.text for w in without.words]
    for number, word in enumerate(with_it.words):
        same = _units(with_it, number) == _units(without, number)
        assert same == (word.text not in touched), word.text


def _units(script: Script, number: int) -> list[str]:
    return [u.symbol for u in script.units if u.word == number]


def test_digest_is_of_the_content() -> None:
    head = '[words]\ndata="DAT-uh"\n"MSS."={say="manuscripts"}\n'
    reordered = head + 'Cthulhu="kuh-THOO-loo"\nLestrade="/ləstɹˈɑd/"'
    assert Lexicon.parse(GOOD).digest == Lexicon.parse(reordered).digest
    assert Lexicon.parse(GOOD).digest != Lexicon.parse(GOOD.replace("THOO", "THAH")).digest
    assert len(Lexicon().digest) == 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('[words]\nA = "AY"\nCthulhu = "kuh-5"', ["line 3", "Cthulhu", "5"]),
        ('[words]\nCthulhu = "krk"', ["line 2", "Cthulhu", "vowel"]),
        ('[words]\nCthulhu = { phonemes = "k☃" }', ["line 2", "Cthulhu", "snowman"]),
        ('[words]\nCthulhu = { sounds = "k" }', ["line 2", "Cthulhu", "sounds"]),
        ("[words]\nCthulhu = 3", ["line 2", "Cthulhu", "respelling"]),
        ('[words]\n"two words" = "TOO"', ["line 2", "two words", "one word"]),
        ('[wrods]\nA = "AY"', ["line 1", "wrods", "[words]"]),
        ('words = "x"', ["line 1", "words", "table"]),
        ("[words\n", ["not valid TOML", "line 1"]),
        ('[words]\nMS = { say = "" }', ["line 2", "MS"]),
    ],
)
def test_bad_lexicons_say_where_and_what(text: str, parts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "book.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LexiconError) as caught:
        Lexicon.load(path)
    for part in ["book.toml", *parts]:
        assert part in str(caught.value)


def test_missing_lexicon_file(tmp_path: Path) -> None:
    with pytest.raises(LexiconError, match=r"nowhere\.toml"):
        Lexicon.load(tmp_path / "nowhere.toml")
