"""Plain text: encodings, wrapped lines, headings by their wording, verse by its shape, and places."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_places import raw_lines_text, words

from generation.manuscript import BlockKind, Book, ChapterKind, SpanKind, read_manuscript
from generation.manuscript.text import read_text

WRAPPED = """It was a quiet morning in the valley, and nothing stirred in
the house but the clock upon the stairs, which had been wound the
evening before by a hand that was never to wind it again.
"""


def read(folder: Path, source: str, name: str = "tale.txt") -> Book:
    path = folder / name
    path.write_text(source, encoding="utf-8", newline="")
    return read_manuscript(path)


def check_places(source: str, book: Book) -> int:
    """Walk every word back to the source's own lines; return how many there were."""
    counted = 0
    for chapter in book.chapters:
        for block in chapter.blocks:
            raw = raw_lines_text(source, block.node) if block.text else ""
            for start, end in words(block):
                place = block.place(start, end)
                found = re.sub(r"[_\n]|\[\d+\]", "", raw[place.start : place.end])
                assert found == block.text[start:end]
                counted += 1
    return counted


def test_chapters_by_word_number_and_title(tmp_path: Path) -> None:
    source = (
        f"THE LONG RAIN\n\nby Ann Author\n\n\nCHAPTER I\n\n{WRAPPED}\n{WRAPPED}\n"
        f"CHAPTER II. The Mill\n\n{WRAPPED}\nChapter Three: A Door\n\n{WRAPPED}"
    )
    book = read(tmp_path, source)
    assert (book.title, book.authors) == ("THE LONG RAIN", ("Ann Author",))
    assert [c.title for c in book.body] == [
        "CHAPTER I",
        "CHAPTER II. The Mill",
        "Chapter Three: A Door",
    ]
    assert book.chapters[0].kind is ChapterKind.FRONT
    assert book.body[0].blocks[1].text == " ".join(WRAPPED.split())
    assert check_places(source, book) == len(source.split())


def test_a_title_on_its_own_line_below_the_number(tmp_path: Path) -> None:
    source = f"CHAPTER I\n\nThe Mill\n\n\n{WRAPPED}\n\nCHAPTER II\nThe Weir\n\n{WRAPPED}"
    book = read(tmp_path, source)
    assert [c.title for c in book.body] == ["CHAPTER I: The Mill", "CHAPTER II: The Weir"]
    assert [b.kind.value for b in book.body[1].blocks] == ["heading", "heading", "paragraph"]
    assert check_places(source, book) == len(source.split())


def test_a_first_line_of_dialogue_is_no_title(tmp_path: Path) -> None:
    source = f"CHAPTER I\n\n\n“Tom!”\n\nNo answer.\n\n{WRAPPED}\nCHAPTER II\n\n{WRAPPED}"
    book = read(tmp_path, source)
    assert [b.kind.value for b in book.body[0].blocks] == ["heading"] + ["paragraph"] * 3


def test_a_table_of_contents_is_no_chapter(tmp_path: Path) -> None:
    contents = (
        "CONTENTS\n\n CHAPTER I. The Mill\n CHAPTER II. The Weir\n CHAPTER III. The Sea\n\n\n"
    )
    loose = "CONTENTS\n\nCHAPTER I. The Mill\n\nCHAPTER II. The Weir\n\nCHAPTER III. The Sea\n\n\n"
    for table in (contents, loose):
        chapters = "".join(
            f"CHAPTER {n}. {t}\n\n{WRAPPED}\n\n"
            for n, t in (("I", "The Mill"), ("II", "The Weir"), ("III", "The Sea"))
        )
        book = read(tmp_path, table + chapters)
        assert [c.title for c in book.body] == [
            "CHAPTER I. The Mill",
            "CHAPTER II. The Weir",
            "CHAPTER III. The Sea",
        ]
        assert book.chapters[0].kind is ChapterKind.FRONT


def test_parts_chapters_and_named_matter(tmp_path: Path) -> None:
    source = (
        f"PREFACE\n\n{WRAPPED}\n\nPART ONE\n\n\nCHAPTER 1\n\n{WRAPPED}\n\nCHAPTER 2\n\n{WRAPPED}\n\n"
        f"PART TWO\n\n\nCHAPTER 3\n\n{WRAPPED}\n\nEPILOGUE\n\n{WRAPPED}\n\nABOUT THE AUTHOR\n\n{WRAPPED}"
    )
    book = read(tmp_path, source)
    assert [(c.title, c.kind.value) for c in book.chapters] == [
        ("PREFACE", "front"),
        ("CHAPTER 1", "body"),
        ("CHAPTER 2", "body"),
        ("CHAPTER 3", "body"),
        ("EPILOGUE", "body"),
        ("ABOUT THE AUTHOR", "back"),
    ]
    assert book.chapters[1].blocks[0].text == "PART ONE"
    assert book.chapters[3].blocks[0].text == "PART TWO"


@pytest.mark.parametrize(
    "heads",
    [
        ["I", "II", "III"],
        ["1.", "2.", "3."],
        ["I. A MILL", "II. A WEIR", "III. THE SEA"],
        ["Chapter the First", "Chapter the Second", "Chapter the Last"],
        ["LETTER I", "LETTER II", "LETTER III"],
        ["Prologue", "Chapter One", "Epilogue"],
        ["The Mill", "The Weir", "The Sea"],
    ],
)
def test_kinds_of_headings(tmp_path: Path, heads: list[str]) -> None:
    source = "\n\n".join(f"\n{head}\n\n{WRAPPED}" for head in heads)
    book = read(tmp_path, source)
    assert [c.title for c in book.body] == [h.rstrip(".") for h in heads]


def test_numbered_sections_stay_inside_numbered_stories(tmp_path: Path) -> None:
    source = "\n\n\n".join(
        f"ADVENTURE {n}. {t}\n\nI.\n\n{WRAPPED}\n\nII.\n\n{WRAPPED}"
        for n, t in (("I", "A SCANDAL"), ("II", "A LEAGUE"))
    )
    book = read(tmp_path, source)
    assert [c.title for c in book.body] == ["ADVENTURE I. A SCANDAL", "ADVENTURE II. A LEAGUE"]
    assert [b.text for b in book.body[1].blocks if b.kind is BlockKind.HEADING][1:] == ["I.", "II."]


def test_sentences_that_begin_like_headings_are_sentences(tmp_path: Path) -> None:
    source = (
        f"CHAPTER I\n\n{WRAPPED}\nPart of the wall had fallen, and\nthe road was shut.\n\n"
        "Chapter one was all he ever wrote.\n\nI.\n\n1. Buy bread, and then go home to sleep.\n\n"
        f"CHAPTER II\n\n{WRAPPED}"
    )
    assert [c.title for c in read(tmp_path, source).body] == ["CHAPTER I", "CHAPTER II"]


def test_project_gutenbergs_header_and_licence_are_left_out(tmp_path: Path) -> None:
    source = (
        "The Project Gutenberg eBook of The Long Rain\n\nThis ebook is for anyone.\n\n"
        "Title: The Long Rain\n\nAuthor: Ann Author\n\nRelease date: May 1, 1999 [eBook #1]\n\n"
        "Language: French\n\n*** START OF THE PROJECT GUTENBERG EBOOK THE LONG RAIN ***\n\n"
        f"Produced by Some Volunteer\n\nCHAPTER I\n\n{WRAPPED}\n\n[Illustration: A mill.]\n\n"
        f"CHAPTER II\n\n{WRAPPED}\n\n[Footnote 1: Not\n\nread.]\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK THE LONG RAIN ***\n\nLICENCE TEXT.\n"
    )
    book = read(tmp_path, source)
    assert (book.title, book.authors, book.language) == ("The Long Rain", ("Ann Author",), "fr")
    assert book.published == "May 1, 1999"
    text = " ".join(b.text for c in book.chapters for b in c.blocks)
    for trace in ("Gutenberg", "LICENCE", "Illustration", "Footnote", "read.]", "Produced"):
        assert text.count(trace) == 0
    assert len(book.body) == 2


def test_scene_breaks_emphasis_and_footnote_marks(tmp_path: Path) -> None:
    source = (
        f"{WRAPPED}\n       * * *\n\nHe was _very\nmuch_ afraid.[12] The snake_case_word\nwas _not_, and "
        f"well-\nknown.\n#\n{WRAPPED}"
    )
    book = read(tmp_path, source)
    kinds = [b.kind.value for b in book.body[0].blocks]
    assert kinds == ["paragraph", "scene_break", "paragraph", "scene_break", "paragraph"]
    block = book.body[0].blocks[2]
    assert block.text == ("He was very much afraid. The snake_case_word was not, and well-known.")
    emphasis = [block.text[s.start : s.end] for s in block.spans if s.kind is SpanKind.EMPHASIS]
    assert emphasis == ["very much", "not"]


def test_verse_and_quotations_by_shape(tmp_path: Path) -> None:
    source = (
        f"{WRAPPED}\n{WRAPPED}\n    Tyger Tyger, burning bright,\n      In the forests of the night;\n\n"
        "Roses are red,\nViolets are blue,\nSugar is sweet\n\n"
        f"    It was agreed between the parties, in the presence of\n"
        f"    both, that the mill be sold.\n\n{WRAPPED}"
    )
    blocks = read(tmp_path, source).body[0].blocks
    assert [(b.kind.value, b.text) for b in blocks[2:-1]] == [
        ("verse", "Tyger Tyger, burning bright,"),
        ("verse", "In the forests of the night;"),
        ("verse", "Roses are red,"),
        ("verse", "Violets are blue,"),
        ("verse", "Sugar is sweet"),
        (
            "quote",
            "It was agreed between the parties, in the presence of both, that the mill be sold.",
        ),
    ]


def test_lines_that_are_paragraphs(tmp_path: Path) -> None:
    long = " ".join(WRAPPED.split())
    book = read(tmp_path, f"{long}\n{long}\n“Yes,” he said.\n{long}\n")
    assert [b.text for b in book.body[0].blocks] == [long, long, "“Yes,” he said.", long]


def test_paragraphs_by_indentation_and_by_short_lines(tmp_path: Path) -> None:
    lines = WRAPPED.rstrip().split("\n")
    indented = "".join("   " + "\n".join(lines) + "\n" for _ in range(4))
    assert len(read(tmp_path, indented).body[0].blocks) == 4
    flush = ("\n".join(lines[:2]) + "\nwound.\n") * 4
    assert len(read(tmp_path, flush).body[0].blocks) == 4


@pytest.mark.parametrize(
    ("encoding", "noted"),
    [
        ("utf-8", False),
        ("utf-8-sig", False),
        ("utf-16", False),
        ("utf-32", False),
        ("cp1252", True),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, noted: bool) -> None:
    path = tmp_path / "tale.txt"
    path.write_bytes("“Café,” he said.\r\n\r\nThen it rained — much.\r\n".encode(encoding))
    book = read_manuscript(path)
    assert [b.text for b in book.body[0].blocks] == ["“Café,” he said.", "Then it rained — much."]
    assert [b.node for b in book.body[0].blocks] == ["1", "3"]
    assert bool(book.notes) is noted


def test_a_text_without_chapters_is_one(tmp_path: Path) -> None:
    book = read(tmp_path, WRAPPED * 2, "my tale.txt")
    assert [(c.title, c.kind) for c in book.chapters] == [
        ("It was a quiet morning in…", ChapterKind.BODY)
    ]
    assert (book.title, book.authors, book.language) == ("my tale", (), "en")


LINES = st.lists(
    st.one_of(
        st.just(""),
        st.sampled_from(
            [
                "CHAPTER I",
                "CHAPTER II. Rain",
                "I.",
                "* * *",
                "   Indented",
                "\tTab",
                "PART ONE",
                "END",
            ]
        ),
        st.text(alphabet="abc DE.,“”_-[]1é\u00ad\u00a0\f*", max_size=90),
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(lines=LINES)
def test_offsets_hold_for_any_text(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    source = "\n".join([*lines, "", "A last word."])
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text(source, encoding="utf-8", newline="")
    for chapter in read_text(path).chapters:
        for block in chapter.blocks:
            raw = raw_lines_text(source, block.node)
            assert len(block.offsets) == len(block.text)
            assert list(block.offsets) == sorted(set(block.offsets))
            for char, offset in zip(block.text, block.offsets, strict=True):
                assert raw[offset] == char or (char == " " and raw[offset].isspace())
