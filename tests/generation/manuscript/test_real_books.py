"""The three real books: their chapters, and every word of them walked back to its place in the XHTML."""

from pathlib import Path

import pytest
from source_places import raw_element_text, seen, words

from generation.manuscript import BlockKind, Book, ChapterKind, SpanKind, select_chapters

STORIES = [
    "A Scandal in Bohemia",
    "The Redheaded League",
    "A Case of Identity",
    "The Boscombe Valley Mystery",
    "The Five Orange Pips",
    "The Man with the Twisted Lip",
    "The Adventure of the Blue Carbuncle",
    "The Adventure of the Speckled Band",
    "The Adventure of the Engineer’s Thumb",
    "The Adventure of the Noble Bachelor",
    "The Adventure of the Beryl Coronet",
    "The Adventure of the Copper Beeches",
]


def test_sherlock_is_twelve_stories_in_order(sherlock: Book) -> None:
    assert [c.title for c in sherlock.body] == STORIES
    assert sherlock.authors == ("Arthur Conan Doyle",)
    assert sherlock.language == "en-GB"
    assert sherlock.cover is not None and sherlock.cover.data.lstrip().startswith(b"<")


def test_sections_of_a_story_stay_in_it_as_headings(sherlock: Book) -> None:
    headings = [b.text for b in sherlock.body[0].blocks if b.kind is BlockKind.HEADING]
    assert headings == ["A Scandal in Bohemia", "I", "II", "III"]


def test_sawyer_is_thirty_five_chapters_with_preface_and_conclusion(sawyer: Book) -> None:
    assert len(sawyer.body) == 35
    assert sawyer.body[0].title == "I: Tom Plays, Fights, and Hides"
    assert [b.text for b in sawyer.body[0].blocks[:3]] == [
        "I",
        "Tom Plays, Fights, and Hides",
        "“Tom!”",
    ]
    kinds = {c.title: c.kind for c in sawyer.chapters}
    assert kinds["Preface"] is ChapterKind.FRONT
    assert kinds["Conclusion"] is ChapterKind.BACK
    chosen = select_chapters(sawyer, "preface,1,conclusion")
    assert [c.title for c in chosen] == ["Preface", sawyer.body[0].title, "Conclusion"]


def test_pride_is_sixty_one_chapters(pride: Book) -> None:
    assert len(pride.body) == 61
    assert pride.body[60].title == "LXI"
    assert pride.body[0].blocks[1].text.startswith("It is a truth universally acknowledged")


@pytest.mark.parametrize("name", ["sherlock", "sawyer", "pride"])
def test_no_boilerplate_in_the_body(name: str, request: pytest.FixtureRequest) -> None:
    book: Book = request.getfixturevalue(name)
    text = " ".join(b.text for c in book.body for b in c.blocks)
    traces = ("Standard Ebooks", "Uncopyright", "public domain", "Gutenberg", "↩", "this ebook")
    assert [trace for trace in traces if trace in text] == []
    assert [mark for mark in "\u00ad\u200b\u2060\ufeff\u00a0\n\t" if mark in text] == []
    assert [b.text for c in book.body for b in c.blocks if "  " in b.text] == []


def test_footnote_marks_and_notes_are_left_out(sawyer: Book) -> None:
    text = " ".join(b.text for b in sawyer.body[9].blocks)
    assert text.count("“I know his voice. It’s Bull Harbison.”") == 1
    everything = " ".join(b.text for c in sawyer.chapters for b in c.blocks)
    assert everything.count("Southwestern for") == 0


def test_verse_is_read_line_by_line(sawyer: Book) -> None:
    verse = [b.text for c in sawyer.body for b in c.blocks if b.kind is BlockKind.VERSE]
    assert "Alabama, goodbye! I love thee well!" in verse
    assert "But yet for a while do I leave thee now!" in verse
    assert "Shall I be car-ri-ed toe the skies, on flow’ry beds of ease," in verse


def test_letters_scene_breaks_and_marked_words(sherlock: Book) -> None:
    scandal = sherlock.body[0]
    letter = [b.text for b in scandal.blocks if b.kind is BlockKind.LETTER]
    assert letter[0].startswith("“My Dear Mr. Sherlock Holmes—You really did it very well.")
    assert letter[-1] == "“Irene Norton, née Adler.”"
    breaks = [i for i, b in enumerate(scandal.blocks) if b.kind is BlockKind.SCENE_BREAK]
    assert len(breaks) == 1
    assert scandal.blocks[breaks[0] + 1].text.startswith("And that was how a great scandal")
    first = next(b for b in scandal.blocks if b.text.startswith("To Sherlock Holmes she is"))
    emphasis = [first.text[s.start : s.end] for s in first.spans if s.kind is SpanKind.EMPHASIS]
    assert emphasis == ["the"]
    signature = next(b for b in scandal.blocks if b.text == "“Irene Norton, née Adler.”")
    french = [
        (signature.text[s.start : s.end], s.value) for s in signature.spans if s.value == "fr"
    ]
    assert french == [("née", "fr")]


@pytest.mark.parametrize("name", ["sherlock", "sawyer", "pride"])
def test_every_word_is_found_again_in_the_source(name: str, request: pytest.FixtureRequest) -> None:
    book: Book = request.getfixturevalue(name)
    path: Path = request.getfixturevalue(f"{name}_path")
    counted = 0
    for chapter in book.chapters:
        for block in chapter.blocks:
            for start, end in words(block):
                place = block.place(start, end)
                raw = raw_element_text(path, place.document, place.node)[place.start : place.end]
                assert seen(raw).replace(" ", "") == block.text[start:end]
                counted += 1
    assert counted == sum(c.words for c in book.chapters) > 60_000
