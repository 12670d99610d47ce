"""A real book set again as plain text, Markdown and DOCX reads as the same chapters and the same words."""

import textwrap
from pathlib import Path

import docx
import pytest

from generation.manuscript import Block, BlockKind, Book, read_manuscript


def parted(book: Book) -> list[tuple[str, list[str]]]:
    """Return each body chapter's headings as one line, and its paragraphs' words."""
    return [
        (
            " ".join(b.text for b in c.blocks if b.kind is BlockKind.HEADING),
            [w for b in c.blocks if b.kind is not BlockKind.HEADING for w in b.text.split()],
        )
        for c in book.body
    ]


def headings(book: Book, number: int) -> tuple[str, list[Block]]:
    """Return "CHAPTER I. Title" for a chapter of Tom Sawyer, and the blocks below it."""
    blocks = list(book.body[number].blocks)
    return f"CHAPTER {blocks[0].text}. {blocks[1].text}", blocks[2:]


def as_text(book: Book) -> str:
    lines = [book.title.upper(), "", f"by {book.authors[0]}", "", "", "CONTENTS", ""]
    lines += [f"{headings(book, i)[0]}" for i in range(len(book.body))]
    for i in range(len(book.body)):
        title, blocks = headings(book, i)
        lines += ["", "", "", title, "", ""]
        before = BlockKind.PARAGRAPH
        for block in blocks:
            if block.kind is BlockKind.SCENE_BREAK:
                lines += ["", "       *       *       *", ""]
            elif block.kind is BlockKind.VERSE:
                lines += ([""] if before is not BlockKind.VERSE else []) + [f"     {block.text}"]
            else:
                lines += ["", *textwrap.wrap(block.text, 72, break_on_hyphens=True)]
            before = block.kind
    return "\n".join(lines)


def as_markdown(book: Book) -> str:
    parts = [f"---\ntitle: {book.title}\nauthor: {book.authors[0]}\n---"]
    for i in range(len(book.body)):
        title, blocks = headings(book, i)
        parts.append(f"## {title}")
        for block in blocks:
            text = "".join(f"\\{c}" if c in "*_[]<>\\`#&" else c for c in block.text)
            parts.append({"quote": f"> {text}", "scene_break": "***"}.get(block.kind.value, text))
    return "\n\n".join(parts)


def as_docx(book: Book, path: Path) -> None:
    made = docx.Document()
    made.add_paragraph(book.title, style="Title")
    made.core_properties.author = book.authors[0]
    for i in range(len(book.body)):
        title, blocks = headings(book, i)
        made.add_heading(title, 1)
        for block in blocks:
            style = "Quote" if block.kind is BlockKind.QUOTE else None
            made.add_paragraph(
                "***" if block.kind is BlockKind.SCENE_BREAK else block.text, style=style
            )
    made.save(str(path))


@pytest.mark.parametrize("suffix", ["txt", "md", "docx"])
def test_the_same_chapters_and_words(sawyer: Book, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sawyer.{suffix}"
    if suffix == "txt":
        path.write_text(as_text(sawyer), encoding="utf-8")
    elif suffix == "md":
        path.write_text(as_markdown(sawyer), encoding="utf-8")
    else:
        as_docx(sawyer, path)
    again = read_manuscript(path)
    assert again.title.casefold() == sawyer.title.casefold()
    assert again.authors == sawyer.authors
    assert len(again.body) == 35
    for i, (title, words) in enumerate(parted(again)):
        expected_title, blocks = headings(sawyer, i)
        assert title == expected_title
        assert words == [w for b in blocks for w in b.text.split()]
    if suffix == "txt":
        verse = {b.text for c in again.body for b in c.blocks if b.kind is BlockKind.VERSE}
        expected = {b.text for c in sawyer.body for b in c.blocks if b.kind is BlockKind.VERSE}
        missed = expected - verse
        assert verse <= expected
        assert all(len(line) > 55 for line in missed)  # as long as lines of prose
        assert len(missed) <= 2
