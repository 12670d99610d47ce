"""EPUB 2 and 3: metadata, covers, and chapters cut and joined by the table of contents."""

from pathlib import Path

import pytest
from made_books import PROSE, MadeEpub, entry, page, point

from generation.manuscript import BlockKind, Book, ChapterKind, read_manuscript

LONG = PROSE * 40


def made(folder: Path, epub: MadeEpub) -> Book:
    return read_manuscript(epub.write(folder))


def shape(book: Book) -> list[tuple[str, str, list[str]]]:
    """Return each chapter's title, kind, and headings."""
    return [
        (c.title, c.kind.value, [b.text for b in c.blocks if b.kind is BlockKind.HEADING])
        for c in book.chapters
    ]


def test_metadata_of_epub_3(tmp_path: Path) -> None:
    metadata = (
        '<dc:identifier id="uid">urn:uuid:1</dc:identifier>'
        "<dc:identifier>ISBN 978-0-14-143951-8</dc:identifier>"
        '<dc:creator id="a">Ann  Author</dc:creator><meta refines="#a" property="role">aut</meta>'
        '<dc:creator id="t">Tom Translator</dc:creator><meta refines="#t" property="role">trl</meta>'
        "<dc:creator>Bea Second</dc:creator><dc:language>en_GB</dc:language>"
        "<dc:publisher>Press &amp; Sons</dc:publisher><dc:date>1999-05</dc:date>"
        "<dc:description>&lt;p&gt;Rain &lt;b&gt;falls&lt;/b&gt;.&lt;/p&gt;</dc:description>"
        "<dc:rights>CC0</dc:rights>"
    )
    cover = '<item id="c" href="c%20v.png" media-type="image/png" properties="cover-image"/>'
    epub = MadeEpub(
        {"a.xhtml": page(LONG)},
        metadata=metadata,
        manifest=cover,
        extra={"OEBPS/c v.png": b"\x89PNG"},
    )
    book = made(tmp_path, epub)
    assert book.title == "A Made Book"
    assert book.authors == ("Ann Author", "Bea Second")
    assert book.identifier == "urn:isbn:9780141439518"
    assert (book.language, book.publisher, book.published) == ("en-GB", "Press & Sons", "1999-05")
    assert (book.description, book.rights) == ("Rain falls .", "CC0")
    assert book.cover is not None
    assert (book.cover.data, book.cover.media_type) == (b"\x89PNG", "image/png")
    assert len(book.source_digest) == 64


def test_metadata_and_cover_of_epub_2(tmp_path: Path) -> None:
    metadata = (
        '<dc:identifier id="uid" opf:scheme="ISBN">0-306-40615-2</dc:identifier>'
        '<dc:creator opf:role="ill">Ina Illustrator</dc:creator>'
        '<dc:creator opf:role="aut">Ann Author</dc:creator><dc:language>eng</dc:language>'
        '<dc:date opf:event="modification">2020</dc:date>'
        '<dc:date opf:event="publication">1890</dc:date><meta name="cover" content="img1"/>'
    )
    epub = MadeEpub(
        {"a.xhtml": page(LONG)},
        metadata=metadata,
        manifest='<item id="img1" href="c.jpg" media-type="image/jpeg"/>',
        extra={"OEBPS/c.jpg": b"\xff\xd8\xff"},
    )
    book = made(tmp_path, epub)
    assert book.authors == ("Ann Author",)
    assert (book.identifier, book.language, book.published) == ("urn:isbn:0306406152", "en", "1890")
    assert book.cover is not None and book.cover.media_type == "image/jpeg"


def test_a_cover_is_found_through_the_guide(tmp_path: Path) -> None:
    epub = MadeEpub(
        {"cover.xhtml": page('<p><img src="i/c.jpg" alt=""/></p>'), "a.xhtml": page(LONG)},
        guide='<reference type="cover" href="cover.xhtml"/>',
        manifest='<item id="x" href="i/c.jpg" media-type="image/jpeg"/>',
        extra={"OEBPS/i/c.jpg": b"\xff\xd8\xff"},
    )
    book = made(tmp_path, epub)
    assert book.cover is not None and book.cover.data == b"\xff\xd8\xff"
    assert len(book.chapters) == 1


def test_spine_order_rules_and_non_linear_pages_are_left_out(tmp_path: Path) -> None:
    epub = MadeEpub(
        {f"{n}.xhtml": page(f"<h1>{n}</h1>{LONG}") for n in ("Zeta", "Aside", "Alpha")},
        nav=entry("Alpha", "Alpha.xhtml") + entry("Zeta", "Zeta.xhtml"),
        not_linear=frozenset({"Aside.xhtml"}),
    )
    assert [c.title for c in made(tmp_path, epub).chapters] == ["Zeta", "Alpha"]


def test_one_page_is_cut_at_the_anchors_of_an_ncx(tmp_path: Path) -> None:
    body = "".join(
        f'<p class="n"><a id="c{i}"/>{n}</p><h2>The {n}</h2>{LONG}' for i, n in enumerate("ABC")
    )
    points = "".join(point(f"{n}: The {n}", f"a.xhtml#c{i}") for i, n in enumerate("ABC"))
    book = made(tmp_path, MadeEpub({"a.xhtml": page(body)}, ncx=points))
    assert shape(book) == [(f"{n}: The {n}", "body", [n, f"The {n}"]) for n in "ABC"]
    assert {c.words for c in book.chapters} == {40 * 14 + 3}


def test_an_anchor_on_the_second_of_two_headings_takes_the_first_along(tmp_path: Path) -> None:
    body = "".join(f'<h2>{n}</h2><h3 id="c{n}">Of {n}</h3>{LONG}' for n in "AB")
    nav = "".join(entry(f"Of {n}", f"a.xhtml#c{n}") for n in "AB")
    book = made(tmp_path, MadeEpub({"a.xhtml": page(body)}, nav=nav))
    assert shape(book) == [("Of A", "body", ["A", "Of A"]), ("Of B", "body", ["B", "Of B"])]


def test_pages_that_no_entry_names_go_on_with_the_chapter(tmp_path: Path) -> None:
    epub = MadeEpub(
        {
            "c1_split_000.xhtml": page(f"<h1>One</h1>{LONG}"),
            "c1_split_001.xhtml": page(LONG),
            "c2.xhtml": page(f"<h1>Two</h1>{LONG}"),
            "c3.xhtml": page(f"<h1>Three</h1>{LONG}"),
        },
        nav=entry("One", "c1_split_000.xhtml") + entry("Two", "c2.xhtml"),
    )
    book = made(tmp_path, epub)
    assert shape(book) == [
        ("One", "body", ["One"]),
        ("Two", "body", ["Two"]),
        ("Three", "body", ["Three"]),
    ]
    assert book.chapters[0].words == 2 * 40 * 14 + 1


def test_a_parts_page_is_read_with_its_first_chapter(tmp_path: Path) -> None:
    pages = {"part1.xhtml": page("<h1>Part One</h1><p>The River</p>")}
    pages |= {f"c{i}.xhtml": page(f"<h2>Chapter {i}</h2>{LONG}") for i in (1, 2)}
    pages["part2.xhtml"] = page("<h1>Part Two</h1>")
    pages["c3.xhtml"] = page(f"<h2>Chapter 3</h2>{LONG}")
    one = entry("Chapter 1", "c1.xhtml") + entry("Chapter 2", "c2.xhtml")
    nav = entry("Part One", "part1.xhtml", one)
    nav += entry("Part Two", "part2.xhtml", entry("Chapter 3", "c3.xhtml"))
    book = made(tmp_path, MadeEpub(pages, nav=nav))
    assert shape(book) == [
        ("Chapter 1", "body", ["Part One", "Chapter 1"]),
        ("Chapter 2", "body", ["Chapter 2"]),
        ("Chapter 3", "body", ["Part Two", "Chapter 3"]),
    ]
    assert book.chapters[0].blocks[1].text == "The River"


def test_parts_within_one_page_hold_chapters_and_stories_hold_sections(tmp_path: Path) -> None:
    def sections(name: str) -> str:
        return "".join(f'<h3 id="{name}{i}">{i}</h3>{LONG}' for i in (1, 2))

    def inside(name: str) -> str:
        return "".join(entry(str(i), f"a.xhtml#{name}{i}") for i in (1, 2))

    for title, expected in (("Book One", ["1", "2", "Rain"]), ("Fog", ["Fog", "Rain"])):
        body = f'<h1 id="x">{title}</h1>{sections("x")}<h1 id="r">Rain</h1>{LONG}'
        nav = entry(title, "a.xhtml#x", inside("x")) + entry("Rain", "a.xhtml#r")
        book = made(tmp_path, MadeEpub({"a.xhtml": page(body)}, nav=nav))
        assert [c.title for c in book.body] == expected


def test_a_label_without_link_and_a_deep_ncx(tmp_path: Path) -> None:
    pages = {f"c{i}.xhtml": page(f"<h1>Chapter {i}</h1>{LONG}") for i in (1, 2)}
    nav = entry("Volume I", "", entry("Book I", "", entry("Chapter 1", "c1.xhtml")))
    nav += entry("Chapter 2", "c2.xhtml")
    assert len(made(tmp_path, MadeEpub(pages, nav=nav)).body) == 2
    ncx = point("Book", "c1.xhtml", point("Chapter 1", "c1.xhtml")) + point("Chapter 2", "c2.xhtml")
    assert [c.title for c in made(tmp_path, MadeEpub(pages, ncx=ncx)).body] == [
        "Chapter 1",
        "Chapter 2",
    ]


def test_front_and_back_matter_by_semantics(tmp_path: Path) -> None:
    pages = {
        "t.xhtml": page("<section epub:type='titlepage'><h1>A Made Book</h1></section>"),
        "f.xhtml": page(f"<h1>Before</h1>{LONG}", attributes="epub:type='frontmatter'"),
        "p.xhtml": page(f"<h1>Prologue</h1>{LONG}", attributes="epub:type='bodymatter'"),
        "c.xhtml": page(f"<section role='doc-chapter'><h1>Notes</h1>{LONG}</section>"),
        "a.xhtml": page(f"<section role='doc-afterword'><h1>After</h1>{LONG}</section>"),
        "n.xhtml": page(f"<section role='doc-endnotes'><h1>Notes</h1>{LONG}</section>"),
    }
    nav = "".join(entry(n, f"{n}.xhtml") for n in "tfpcan")
    assert [(t, k) for t, k, _ in shape(made(tmp_path, MadeEpub(pages, nav=nav)))] == [
        ("t", "front"),
        ("f", "front"),
        ("p", "body"),
        ("c", "body"),
        ("a", "back"),
    ]


def test_one_page_goes_from_front_matter_to_body_to_back_matter(tmp_path: Path) -> None:
    body = (
        "<section epub:type='frontmatter'><section epub:type='titlepage'><h1>Tale</h1>"
        "<p epub:type='dedication'>For you</p></section></section>"
        f"<section epub:type='bodymatter'><h2 id='a'>Rain</h2>{LONG}</section>"
        f"<section epub:type='backmatter'><h2>Sources</h2>{LONG}</section>"
    )
    expected = [("Tale", "front"), ("Rain", "body"), ("Sources", "back")]
    for nav in (entry("Tale", "a.xhtml"), entry("Tale", "a.xhtml") + entry("Rain", "a.xhtml#a")):
        book = made(tmp_path, MadeEpub({"a.xhtml": page(body)}, nav=nav))
        assert [(c.title, c.kind.value) for c in book.chapters] == expected


def test_an_epigraph_at_its_head_makes_no_chapter_front_matter(tmp_path: Path) -> None:
    epigraph = "<{0} epub:type='epigraph'><p>Rain, rain, go away.</p></{0}>"
    pages = {
        "a.xhtml": page(f"{epigraph.format('blockquote')}<h1>Rain</h1>{LONG}"),
        "b.xhtml": page(
            f"<section epub:type='chapter'>{epigraph.format('section')}<h1>Fog</h1>{LONG}</section>"
        ),
    }
    nav = entry("Rain", "a.xhtml") + entry("Fog", "b.xhtml")
    assert [c.title for c in made(tmp_path, MadeEpub(pages, nav=nav)).body] == ["Rain", "Fog"]


def test_front_and_back_matter_by_landmarks_and_guide(tmp_path: Path) -> None:
    pages = {
        f"{n}.xhtml": page(f"<h1>{n}</h1>{LONG}") for n in ("rain", "fog", "hail", "snow", "thaw")
    }
    nav = "".join(entry(n.removesuffix(".xhtml").title(), n) for n in pages)
    landmarks = (
        '<li><a epub:type="bodymatter" href="fog.xhtml">Start</a></li>'
        '<li><a epub:type="appendix" href="thaw.xhtml">Appendix</a></li>'
    )
    expected = ["front", "body", "body", "body", "back"]
    book = made(tmp_path, MadeEpub(pages, nav=nav, landmarks=landmarks))
    assert [c.kind.value for c in book.chapters] == expected
    guide = (
        '<reference type="text" href="fog.xhtml"/><reference type="glossary" href="thaw.xhtml"/>'
    )
    book = made(tmp_path, MadeEpub(pages, ncx="".join(point(n, n) for n in pages), guide=guide))
    assert [c.kind.value for c in book.chapters] == expected


def test_front_and_back_matter_by_titles(tmp_path: Path) -> None:
    titles = ["Copyright", "Also by Ann Author", "Dedication", "Chapter 1", "Chapter 2"]
    titles += ["Acknowledgements", "About the Author", "Reading Group Guide"]
    pages = {f"{i}.xhtml": page(f"<h1>{t}</h1>{LONG}") for i, t in enumerate(titles)}
    nav = "".join(entry(t, f"{i}.xhtml") for i, t in enumerate(titles))
    book = made(tmp_path, MadeEpub(pages, nav=nav))
    assert [c.kind.value for c in book.chapters] == ["front"] * 3 + ["body"] * 2 + ["back"] * 3


def test_a_page_of_links_is_a_table_of_contents(tmp_path: Path) -> None:
    links = "".join(f'<p><a href="c{i}.xhtml">The {i}th of many days</a></p>' for i in range(3))
    pages = {"toc.xhtml": page(links)}
    pages |= {f"c{i}.xhtml": page(f"<h1>The {i}th of many days</h1>{LONG}") for i in range(3)}
    nav = "".join(entry(f"The {i}th of many days", f"c{i}.xhtml") for i in range(3))
    book = made(tmp_path, MadeEpub(pages, nav=nav))
    assert [c.kind for c in book.chapters] == [ChapterKind.FRONT] + [ChapterKind.BODY] * 3


def test_without_navigation_pages_and_headings_make_chapters(tmp_path: Path) -> None:
    pages = {f"{i}.xhtml": page(f"<h1>Day {i}</h1>{LONG}") for i in (1, 2)} | {
        "3.xhtml": page(LONG)
    }
    assert [c.title for c in made(tmp_path, MadeEpub(pages)).body] == ["Day 1", "Day 2"]
    single = "<h1>A Made Book</h1>" + "".join(f"<h2>Day {i}</h2>{LONG}" for i in (1, 2, 3))
    book = made(tmp_path, MadeEpub({"a.xhtml": page(single)}))
    assert [c.title for c in book.body] == ["Day 1", "Day 2", "Day 3"]


def test_project_gutenbergs_boilerplate_is_left_out(tmp_path: Path) -> None:
    body = (
        f'<section class="pg-boilerplate pgheader" id="pg-header">{LONG}</section>'
        f'<h1>Tale</h1><h2 id="c1">I.</h2>{PROSE}<h2 id="c2">II.</h2>{PROSE}'
        f'<section class="pg-boilerplate pgheader" id="pg-footer">{LONG}</section>'
    )
    nav = entry("I.", "a.xhtml#c1") + entry("II.", "a.xhtml#c2")
    book = made(tmp_path, MadeEpub({"a.xhtml": page(body)}, nav=nav, title="Tale"))
    assert [c.words for c in book.body] == [15, 15]


def test_scene_breaks_at_the_edges_of_a_chapter_are_dropped(tmp_path: Path) -> None:
    body = f"<h1>One</h1><hr/>{PROSE}<hr/><p>***</p>{PROSE}<hr/>"
    book = made(tmp_path, MadeEpub({"a.xhtml": page(body)}))
    assert [b.kind.value for b in book.body[0].blocks] == [
        "heading",
        "paragraph",
        "scene_break",
        "paragraph",
    ]


def test_a_title_that_is_set_as_a_paragraph_becomes_a_heading(tmp_path: Path) -> None:
    pages = {"a.xhtml": page(f"<p>Chapter 1</p><p>Of <i>Rain</i></p>{PROSE}")}
    book = made(tmp_path, MadeEpub(pages, nav=entry("Chapter 1: Of Rain", "a.xhtml")))
    assert shape(book) == [("Chapter 1: Of Rain", "body", ["Chapter 1", "Of Rain"])]


def test_a_book_without_language_takes_its_pages(tmp_path: Path) -> None:
    book = made(tmp_path, MadeEpub({"a.xhtml": page(LONG)}, metadata=""))
    assert book.language == "en"
    assert any("names no language" in note for note in book.notes)


def test_an_undeclared_media_type_is_read_where_it_is_xhtml(tmp_path: Path) -> None:
    epub = MadeEpub(
        {"a.xhtml": page(LONG)},
        manifest='<item id="x" href="b.htm" media-type="text/plain"/>'
        '<item id="y" href="i.png" media-type="image/png"/>',
        spine='<itemref idref="p0"/><itemref idref="x"/><itemref idref="y"/>',
        extra={"OEBPS/b.htm": page("<h1>Beta</h1>" + LONG), "OEBPS/i.png": b"\x89PNG"},
    )
    book = made(tmp_path, epub)
    assert [c.title for c in book.body][1] == "Beta"
    assert any("b.htm" in n for n in book.notes) and any("i.png" in n for n in book.notes)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings_of_pages(tmp_path: Path, encoding: str) -> None:
    source = page("<h1>Été</h1><p>café</p>").replace("utf-8", encoding)
    epub = MadeEpub({"a.xhtml": ""}, extra={"OEBPS/a.xhtml": source.encode(encoding)})
    assert [b.text for b in made(tmp_path, epub).chapters[0].blocks] == ["Été", "café"]


def test_a_wrong_encoding_is_mended_and_noted(tmp_path: Path) -> None:
    epub = MadeEpub({"a.xhtml": ""}, extra={"OEBPS/a.xhtml": page("<p>café</p>").encode("cp1252")})
    book = made(tmp_path, epub)
    assert book.chapters[0].blocks[0].text == "café"
    assert any("declared encoding" in n for n in book.notes)
