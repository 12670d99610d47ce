"""Where the script pauses, and that no two pauses meet."""

from itertools import pairwise

import pytest
from writing import block, chapter, pauses, script_of, spoken

from generation.manuscript import BlockKind
from generation.script import Script, write_script
from generation.script.units import BREAK_PAUSES, SENTENCE_PAUSES, Pause

SENTENCES = {p.value for p in SENTENCE_PAUSES}
BREAKS = {p.value for p in BREAK_PAUSES}


def assert_well_paused(script: Script) -> None:
    """No pause opens the script, only a break follows a sentence's end, and nothing a break but a word."""
    symbols = [unit.symbol if unit.word < 0 else "" for unit in script.units]
    assert symbols[-1] == Pause.CHAPTER.value
    assert len(symbols) == 1 or symbols[0] == ""
    for before, after in pairwise(symbols):
        if after in BREAKS:
            assert before in SENTENCES
        elif after:
            assert before == ""
    assert symbols.count(Pause.CHAPTER.value) == 1


@pytest.mark.parametrize(
    ("printed", "wanted"),
    [
        ("“Yes,” said he. “Go!”", ",.!"),
        ("“What is it?” he asked.", "?."),
        ("He cried “Stop at once, sir!” and fell.", "(,!."),
        ("They dined at the “Blue Boar” and slept.", "."),
        ("She came (as she said) late; he did not: why?", "(,;:?"),
        ("Well—no. Well -- no. Well - no.", "—.—.—."),
        ("But I—", "."),
        ("Dr. Smith vs. Mr. Jones, i.e. the man, lost.", ",,."),
        ("He came at 5 p.m. It rained.", ".."),
        ("Fruit, bread, etc. He ate.", ",,.."),
        ("Holmes & Co. of London failed.", "."),
        ("No. 5 is No. I said no.", ".."),
        ("What?! Never!!!", "?!"),
        ("“Oh! how I wish,—” she sighed", "!—."),
        ("Said I, ‘The man said “No.” to me.’", ",(,."),
        ("It was red, white and so on…", ",."),
        ("A, B; C: D", ",;:."),
    ],
)
def test_pauses_of_a_paragraph(printed: str, wanted: str) -> None:
    script = script_of(printed)
    assert pauses(script) == wanted, spoken(script)
    assert_well_paused(script)


def test_breaks_between_blocks() -> None:
    script = write_script(
        chapter(
            block("Chapter I", BlockKind.HEADING),
            block("The Start", BlockKind.HEADING),
            block("One,"),
            block("Two?"),
            block("* * *"),
            block("Three"),
            block("", BlockKind.SCENE_BREAK),
            block("Four!"),
        )
    )
    assert pauses(script) == ".#.#.¶?§.§!"
    assert_well_paused(script)


def test_lines_of_verse_run_on_until_the_stanza_ends() -> None:
    lines = (
        "The boy stood on the burning deck",
        "whence all but he had fled;",
        "The flame",
        "Shone.",
    )
    verse = [block(line, BlockKind.VERSE) for line in lines]
    assert pauses(write_script(chapter(*verse, block("So it did.")))) == ",;,.¶."


def test_blocks_without_words_say_nothing() -> None:
    script = write_script(
        chapter(block("—"), block("A word."), block("“…”"), block("", BlockKind.SCENE_BREAK))
    )
    assert spoken(script) == "A word"
    assert_well_paused(script)


def test_a_chapter_without_words_is_a_chapter_end() -> None:
    assert [u.symbol for u in write_script(chapter()).units] == ["∎"]
