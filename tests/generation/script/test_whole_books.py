"""Three whole books to scripts: no error, every word at its place, few guesses, and fast."""

import subprocess
import sys
import time

from writing import script_of

from generation.manuscript import Book, Chapter
from generation.script import Script, write_script
from generation.script.units import INDEX, Pause

MOST_GUESSED = 0.004
"""Share of running words that no lexicon or rule knows; measured .0005 to .0025."""
SLOWEST_WORDS_PER_S = 2_500
"""Per second of CPU; 5,600 to 11,500 were measured, the first on a machine with ten other busy processes."""
LONGEST_FIRST_SCRIPT_S = 2.0
"""CPU seconds to import everything and write a first sentence's script, lexicons loaded; measured under 1."""


def test_books_become_scripts(books: dict[str, Book]) -> None:
    script_of("Warm up: he read 12 of them, they wind it.")
    for name, book in books.items():
        started = time.process_time()
        scripts = [(chapter, write_script(chapter)) for chapter in book.body]
        took = time.process_time() - started
        words = sum(len(script.words) for _, script in scripts)
        guessed = sum(word.guessed for _, script in scripts for word in script.words)
        print(
            f"{name}: {words:,} words, {guessed / words:.2%} guessed, {words / took:,.0f} words/s of CPU"
        )
        assert words > 0.97 * sum(chapter.words for chapter in book.body)
        assert guessed / words < MOST_GUESSED
        assert words / took > SLOWEST_WORDS_PER_S
        for chapter, script in scripts:
            _assert_sound(script, chapter)


def _assert_sound(script: Script, chapter: Chapter) -> None:
    assert all(unit.symbol in INDEX for unit in script.units)
    assert script.units[-1].symbol == Pause.CHAPTER.value
    said = [unit.word for unit in script.units if unit.word >= 0]
    assert said == sorted(said)
    assert set(said) == set(range(len(script.words)))
    walk = iter(script.words)
    word = next(walk, None)
    for block in chapter.blocks:
        ahead = 0
        while word and (word.place.document, word.place.node) == (block.document, block.node):
            if word.place.start not in block.offsets[ahead:]:
                break  # a later block of the same element
            start = block.offsets.index(word.place.start, ahead)
            assert block.text[start : start + len(word.text)] == word.text
            ahead = start + len(word.text)
            word = next(walk, None)
    assert word is None, f"{word} is not in the chapter, or out of order"


def test_first_script_comes_quickly() -> None:
    program = (
        "import time; t = time.process_time()\n"
        "import generation.script.english.pronounce as p, generation.script.english.tags as g\n"
        "p.plain('house'); p.plain('Moriarty'); p.plain('blorfing'); g.tag(['He', 'read', 'it'])\n"
        "print(time.process_time() - t)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < LONGEST_FIRST_SCRIPT_S
