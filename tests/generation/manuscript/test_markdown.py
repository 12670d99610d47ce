"""Markdown: what is read, what is left out, and every character's place in the source."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_places import raw_lines_text

from generation.errors import EmptyManuscript
from generation.manuscript import Book, ChapterKind, SpanKind, read_manuscript
from generation.manuscript.markdown import read_markdown

PROSE = "It was a quiet morning, and nothing stirred in the house.\n"

SOURCE = """---
title: The Long Rain
author: [Ann Author, Bea Second]
lang: en-GB
isbn: 978-0-14-143951-8
date: 1999-05-01
publisher: Press
---

# Chapter *One* #

First para[^1] with [a link](http://x.com "t(i)t") and `code` &amp; \\*stars\\*,
wrapped ![picture](p.png) **very _old_ text**.^[inline]

> Quoted *words*
> go on.

- one
- two [ref][r]
  and more

***

| Fruit | Price |
|-------|-------|
| Pears | 2\\|d   |

    x = 1

```python
y = 2
```

Chapter Two
===========

<div>html</div>

<!-- comment -->

Tyger Tyger, burning bright,\\
In the forests of the night,\\
What immortal hand

[r]: http://k
[^1]: note text
"""


def read(folder: Path, source: str, name: str = "tale.md") -> Book:
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return read_manuscript(path)


def check_offsets(source: str, book: Book) -> None:
    for chapter in book.chapters:
        for block in chapter.blocks:
            raw = raw_lines_text(source, block.node)
            assert len(block.offsets) == len(block.text)
            assert list(block.offsets) == sorted(block.offsets)
            for i, (char, offset) in enumerate(zip(block.text, block.offsets, strict=True)):
                inserted = char == "," and i and block.offsets[i - 1] == offset
                assert raw[offset] == char or char == " " or raw[offset] == "&" or inserted


def test_what_is_read_and_as_what(tmp_path: Path) -> None:
    book = read(tmp_path, SOURCE)
    assert [(c.title, c.kind) for c in book.chapters] == [
        ("Chapter One", ChapterKind.BODY),
        ("Chapter Two", ChapterKind.BODY),
    ]
    assert [(b.kind.value, b.text) for b in book.chapters[0].blocks] == [
        ("heading", "Chapter One"),
        ("paragraph", "First para with a link and code & *stars*, wrapped very old text."),
        ("quote", "Quoted words go on."),
        ("list_item", "one"),
        ("list_item", "two ref and more"),
        ("scene_break", ""),
        ("paragraph", "Fruit, Price"),
        ("paragraph", "Pears, 2|d"),
    ]
    assert [(b.kind.value, b.text) for b in book.chapters[1].blocks[1:]] == [
        ("verse", "Tyger Tyger, burning bright,"),
        ("verse", "In the forests of the night,"),
        ("verse", "What immortal hand"),
    ]
    assert {"Footnotes were left out.", "Program listings were left out."} <= set(book.notes)
    check_offsets(SOURCE, book)


def test_front_matter(tmp_path: Path) -> None:
    book = read(tmp_path, SOURCE)
    assert (book.title, book.authors) == ("The Long Rain", ("Ann Author", "Bea Second"))
    assert (book.language, book.identifier) == ("en-GB", "urn:isbn:9780141439518")
    assert (book.published, book.publisher) == ("1999-05-01", "Press")


def test_emphasis_and_exact_places(tmp_path: Path) -> None:
    book = read(tmp_path, SOURCE)
    block = book.chapters[0].blocks[1]
    marked = {block.text[s.start : s.end] for s in block.spans if s.kind is SpanKind.EMPHASIS}
    assert marked == {"very old text", "old"}
    raw = raw_lines_text(SOURCE, block.node)
    for word, source in (
        ("link", "link"),
        ("stars", "stars"),
        ("wrapped", "wrapped"),
        ("old", "old"),
    ):
        at = block.text.index(word)
        place = block.place(at, at + len(word))
        assert raw[place.start : place.end] == source
        assert raw[place.start - 2 : place.start].strip(" \n") in (
            "a",
            "\\*",
            ",",
            "_",
            "y _"[1:],
            "",
        )


def test_a_single_first_heading_is_the_title(tmp_path: Path) -> None:
    book = read(tmp_path, f"# The Long Rain\n\n## One\n\n{PROSE}\n## Two\n\n{PROSE}")
    assert book.title == "The Long Rain"
    assert [(c.title, c.kind.value) for c in book.chapters] == [
        ("The Long Rain", "front"),
        ("One", "body"),
        ("Two", "body"),
    ]


def test_parts_and_chapters(tmp_path: Path) -> None:
    source = "".join(
        f"# Part {p}\n\n"
        + "".join(f"## Chapter {c}\n\n{PROSE}\n### Later\n\n{PROSE}\n" for c in cs)
        for p, cs in (("One", "12"), ("Two", "3"))
    )
    book = read(tmp_path, source)
    assert [c.title for c in book.body] == ["Chapter 1", "Chapter 2", "Chapter 3"]
    assert [c.blocks[0].text for c in book.body] == ["Part One", "Chapter 2", "Part Two"]


def test_markdown_is_known_by_its_content(tmp_path: Path) -> None:
    book = read(tmp_path, f"# One\n\n*Yes.* {PROSE}\n# Two\n\n{PROSE}", "tale.txt")
    assert [c.title for c in book.body] == ["One", "Two"]
    plain = read(tmp_path, f"{PROSE}\n#\n\n{PROSE}", "plain.txt")
    assert [b.kind.value for b in plain.body[0].blocks] == ["paragraph", "scene_break", "paragraph"]


def test_a_lone_sharp_parts_scenes(tmp_path: Path) -> None:
    book = read(tmp_path, f"# One\n\n{PROSE}\n#\n\n{PROSE}\n\\* \\* \\*\n\n{PROSE}")
    assert [b.kind.value for b in book.body[0].blocks][1:] == [
        "paragraph",
        "scene_break",
        "paragraph",
        "scene_break",
        "paragraph",
    ]


@pytest.mark.parametrize(
    "matter", ["title: [a", "a: &a [*a]", "- x", "title: {b: c}", "author: null"]
)
def test_front_matter_that_is_odd_does_no_harm(tmp_path: Path, matter: str) -> None:
    book = read(tmp_path, f"---\n{matter}\n---\n\n{PROSE}")
    assert book.title == "tale" and book.authors == ()


def test_nothing_but_code_is_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyManuscript, match=r"tale\.md has no text"):
        read(tmp_path, "```\nx\n```\n")


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "*", "**", "_", "`", "[", "](http://x.com)", "]", "![", "<b>", "</b>", "\\*", "\\", "&amp;",
                "&#65;", "&", "\n", "\n> ", "\n- ", "\n\n", "  \n", "|", "\n| a | b |\n|--|--|\n| c | d |\n",
                "[^1]", "^[note]", "[^1]: x\n\n", "~~", "<http://a.b>", "# ", "\n# ", "\n===\n", "    ", "\t",
                "1. ",
                "[r]", "[r]: x\n\n", "<!-- c -->", "<br>", "\u00a0", "é", "\u00ad",
            ]
        ),
        st.text(alphabet="abc D.", min_size=1, max_size=6),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(pieces=PIECES)
def test_offsets_hold_for_any_markdown(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str]
) -> None:
    source = "".join(pieces) + "\n\nA last word.\n"
    path = tmp_path_factory.getbasetemp() / "any.md"
    path.write_text(source, encoding="utf-8", newline="")
    try:
        book = read_markdown(path)
    except EmptyManuscript:
        return
    check_offsets(source, book)
