"""DOCX made by python-docx and by hand: styles, revisions, notes, fields, and each character's place."""

import zipfile
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.enum.text import WD_BREAK
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from made_books import write_zip
from source_places import words

from generation.errors import EmptyManuscript, HostileManuscript, ManuscriptError
from generation.manuscript import Book, SpanKind, read_manuscript

PROSE = "It was a quiet morning, and nothing stirred in the house but the clock."


def saved(document: Any, folder: Path) -> Path:
    path = folder / "tale.docx"
    document.save(str(path))
    return path


def xml(source: str) -> Any:
    return parse_xml(source.replace(">", f" {nsdecls('w')}>", 1))


def check_places(path: Path, book: Book) -> None:
    """Walk every word back to its paragraph as python-docx itself reads it."""
    body = docx.Document(str(path)).element.body
    paragraphs = [docx.text.paragraph.Paragraph(p, body) for p in body.iter(qn("w:p"))]  # type: ignore[attr-defined]
    for chapter in book.chapters:
        for block in chapter.blocks:
            raw = paragraphs[int(block.node)].text
            for start, end in words(block):
                place = block.place(start, end)
                assert place.document == "word/document.xml"
                assert raw[place.start : place.end].replace("\u00ad", "") == block.text[start:end]


def test_styles_make_chapters_and_blocks(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_paragraph("The Long Rain", style="Title")
    made.add_paragraph("A Tale", style="Subtitle")
    made.add_heading("Preface", 1)
    made.add_paragraph(PROSE)
    made.add_heading("Chapter 1: The Mill", 1)
    paragraph = made.add_paragraph("He was ")
    paragraph.add_run("very").italic = True
    paragraph.add_run(" much\tafraid\u00a0now, co\u00adoperating.")
    made.add_paragraph("Said so.", style="Quote")
    made.add_paragraph("first", style="List Bullet")
    made.add_paragraph("* * *")
    made.add_heading("Later", 2)
    made.add_paragraph(PROSE)
    made.add_heading("Chapter 2", 1)
    table = made.add_table(2, 2)
    for i, cell in enumerate(c for row in table.rows for c in row.cells):
        cell.text = f"cell {i}"
    made.add_paragraph(PROSE)
    made.core_properties.author = "Ann Author; Bea Second"
    made.core_properties.language = "en-GB"
    path = saved(made, tmp_path)
    book = read_manuscript(path)
    assert (book.title, book.authors, book.language) == (
        "The Long Rain",
        ("Ann Author", "Bea Second"),
        "en-GB",
    )
    assert [(c.title, c.kind.value) for c in book.chapters] == [
        ("The Long Rain: A Tale", "front"),
        ("Preface", "front"),
        ("Chapter 1: The Mill", "body"),
        ("Chapter 2", "body"),
    ]
    assert [(b.kind.value, b.text) for b in book.body[0].blocks] == [
        ("heading", "Chapter 1: The Mill"),
        ("paragraph", "He was very much afraid now, cooperating."),
        ("quote", "Said so."),
        ("list_item", "first"),
        ("heading", "Later"),
        ("paragraph", PROSE),
    ]
    assert [b.text for b in book.body[1].blocks] == [
        "Chapter 2",
        "cell 0",
        "cell 1",
        "cell 2",
        "cell 3",
        PROSE,
    ]
    spans = book.body[0].blocks[1].spans
    assert [(s.start, s.end, s.kind) for s in spans] == [(7, 11, SpanKind.EMPHASIS)]
    check_places(path, book)


def test_revisions_notes_fields_and_hidden_text(tmp_path: Path) -> None:
    made = docx.Document()
    element = made.add_paragraph("Seen")._p
    for source in (
        '<w:del w:id="1" w:author="x"><w:r><w:delText>deleted</w:delText></w:r></w:del>',
        '<w:ins w:id="2" w:author="x"><w:r><w:t xml:space="preserve"> added</w:t></w:r></w:ins>',
        '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:footnoteReference w:id="1"/></w:r>',
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>",
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>',
        '<w:r><w:instrText>HYPERLINK "x"</w:instrText></w:r>',
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>',
        '<w:r><w:t xml:space="preserve"> linked</w:t></w:r>',
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>',
        '<w:hyperlink><w:r><w:t xml:space="preserve"> and well</w:t><w:noBreakHyphen/>'
        "<w:t>known</w:t></w:r></w:hyperlink>",
        '<w:r><w:rPr><w:lang w:val="fr-FR"/></w:rPr><w:t xml:space="preserve"> née</w:t></w:r>',
    ):
        element.append(xml(source))
    book = read_manuscript(saved(made, tmp_path))
    block = book.body[0].blocks[0]
    assert block.text == "Seen added linked and well-known née"
    assert [(block.text[s.start : s.end], s.value) for s in block.spans] == [("née", "fr-FR")]


def test_contents_captions_and_text_boxes_are_left_out(tmp_path: Path) -> None:
    made = docx.Document()
    made.styles.add_style("TOC 1", 1)
    made.add_paragraph("Chapter 1 . . . 3", style="TOC 1")
    made.add_paragraph("Fig. 1", style="Caption")
    made.add_heading("Chapter 1", 1)
    made.add_paragraph(PROSE)
    made.add_paragraph("x")._p.append(
        xml(
            "<w:r><w:pict><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></w:pict></w:r>"
        )
    )
    book = read_manuscript(saved(made, tmp_path))
    assert [b.text for c in book.chapters for b in c.blocks] == ["Chapter 1", PROSE, "x"]
    assert len(book.notes) == 2


def test_parts_above_chapters(tmp_path: Path) -> None:
    made = docx.Document()
    for part, chapters in (("Part One", ("The Mill", "The Weir")), ("Part Two", ("The Sea",))):
        made.add_heading(part, 1)
        for chapter in chapters:
            made.add_heading(chapter, 2)
            made.add_paragraph(PROSE)
    book = read_manuscript(saved(made, tmp_path))
    assert [c.title for c in book.body] == ["The Mill", "The Weir", "The Sea"]
    assert [c.blocks[0].text for c in book.body] == ["Part One", "The Weir", "Part Two"]


def test_headings_without_styles(tmp_path: Path) -> None:
    made = docx.Document()
    for number, title in enumerate(("Chapter One", "CHAPTER 2: THE WEIR", "Epilogue")):
        if number:
            made.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
        made.add_paragraph(title).alignment = 1
        made.add_paragraph(PROSE)
        made.add_paragraph("One day, he said, it would end.")
    book = read_manuscript(saved(made, tmp_path))
    assert [c.title for c in book.body] == ["Chapter One", "CHAPTER 2: THE WEIR", "Epilogue"]
    assert {len(c.blocks) for c in book.body} == {3}


def test_blank_paragraphs_part_scenes_only_where_they_are_rare(tmp_path: Path) -> None:
    rare, spaced = docx.Document(), docx.Document()
    for i in range(12):
        rare.add_paragraph(PROSE)
        spaced.add_paragraph(PROSE)
        spaced.add_paragraph("")
        if i == 5:
            rare.add_paragraph("")
    kinds = [b.kind.value for b in read_manuscript(saved(rare, tmp_path)).body[0].blocks]
    assert kinds.count("scene_break") == 1 and kinds[6] == "scene_break"
    kinds = [b.kind.value for b in read_manuscript(saved(spaced, tmp_path)).body[0].blocks]
    assert kinds == ["paragraph"] * 12


def test_line_breaks_are_verse_or_lines(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_paragraph(
        "Tyger Tyger, burning bright,\nIn the forests of the night;\nWhat immortal hand"
    )
    path = saved(made, tmp_path)
    book = read_manuscript(path)
    assert [b.kind.value for b in book.body[0].blocks] == ["verse"] * 3
    check_places(path, book)


def test_a_document_without_text(tmp_path: Path) -> None:
    with pytest.raises(EmptyManuscript, match=r"tale\.docx has no text"):
        read_manuscript(saved(docx.Document(), tmp_path))


def rewritten(path: Path, name: str, change: Any) -> Path:
    with zipfile.ZipFile(path) as old:
        files: dict[str, str | bytes] = {n: old.read(n) for n in old.namelist()}
    files[name] = change(files[name])
    return write_zip(path, files, mimetype="")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", ["word/document.xml", "docProps/core.xml", "[Content_Types].xml"])
def test_declared_entities_are_refused(tmp_path: Path, name: str, encoding: str) -> None:
    made = docx.Document()
    made.add_paragraph(PROSE)
    evil = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"

    def arm(data: bytes) -> bytes:
        text = data.decode().replace("?>", f"?>{evil}", 1).replace("UTF-8", encoding)
        return text.encode(encoding)

    path = rewritten(saved(made, tmp_path), name, arm)
    with pytest.raises(HostileManuscript, match="declares a document type"):
        read_manuscript(path)


@pytest.mark.parametrize("damage", [b"", b"<w:document", b"<x/>"])
@pytest.mark.parametrize("name", ["word/document.xml", "[Content_Types].xml", "word/styles.xml"])
def test_damaged_documents(tmp_path: Path, name: str, damage: bytes) -> None:
    made = docx.Document()
    made.add_paragraph(PROSE)
    path = rewritten(saved(made, tmp_path), name, lambda _: damage)
    with pytest.raises(ManuscriptError, match=r"tale\.docx"):
        read_manuscript(path)


def test_a_spreadsheet_is_no_word_document(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "a.xlsx", {"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<x/>"}, ""
    )
    with pytest.raises(ManuscriptError, match=r"a\.xlsx is no Word document"):
        read_manuscript(path)
