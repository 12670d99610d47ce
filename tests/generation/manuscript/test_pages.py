"""What is read of an EPUB's page, as what, and where each character stands."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from made_books import PROSE, MadeEpub, entry, page
from source_places import raw_element_text, seen, words

from generation.manuscript import Block, BlockKind, Book, SpanKind, read_manuscript
from generation.manuscript.markup import parse_page
from generation.manuscript.stylesheet import Stylesheet
from generation.manuscript.xhtml import PageReader


def read_body(body: str, *, head: str = "", css: str = "") -> list[Block]:
    source = page(body, head=head)
    style = Stylesheet()
    style.add(css)
    root = parse_page(source.encode(), "page").root
    return [p.block for p in PageReader("page.xhtml", "en", style, set()).read(root).passages]


def texts(body: str, **options: str) -> list[str]:
    return [b.text for b in read_body(body, **options)]


def kinds(body: str, **options: str) -> list[tuple[str, str]]:
    return [(b.kind.value, b.text) for b in read_body(body, **options)]


@pytest.mark.parametrize(
    ("body", "read"),
    [
        # White space and invisible characters
        ("<p>two\n\t  words&nbsp;here</p>", ["two words here"]),
        ("<p>co\u00adoper\u200bate\u2060—now</p>", ["cooperate—now"]),
        ("<p>“\u200a‘Yes,’\u200a” said he.</p>", ["“‘Yes,’” said he."]),
        ("<p>£5\u2009000 and 10\u202fkm</p>", ["£5 000 and 10 km"]),
        ("<p>Caf\u00e9 &eacute;t&eacute;&mdash;fin &amp; caetera</p>", ["Café été—fin & caetera"]),
        # Footnote marks
        ('<p>Word<a epub:type="noteref" href="n.xhtml#1">1</a>.</p>', ["Word."]),
        ('<p>Word<a role="doc-noteref" href="n.xhtml#1">*</a> more</p>', ["Word more"]),
        ('<p>Word <sup><a href="#n1">12</a></sup>, more</p>', ["Word, more"]),
        ('<p>Word<a href="#n1"><sup>a</sup></a> more</p>', ["Word more"]),
        ('<p>Word[<a class="footnote-ref" href="#n1">3</a>].</p>', ["Word."]),
        ('<p>Word <a href="#fn3" id="r3">[3]</a> more.</p>', ["Word more."]),
        ("<p>He left.<sup>7</sup> Then</p>", ["He left. Then"]),
        ("<p>10<sup>6</sup> m<sup>2</sup> and 5<sup>th</sup></p>", ["106 m2 and 5th"]),
        ('<p>See <a href="c2.xhtml">chapter 2</a>.</p>', ["See chapter 2."]),
        # Notes, pages, hidden text
        (f'{PROSE}<aside epub:type="footnote"><p>Note.</p></aside>', [PROSE[3:-4]]),
        ('<p>a</p><div class="footnotes"><p>Note.</p></div>', ["a"]),
        ('<p>some<span epub:type="pagebreak" title="7">7</span>thing</p>', ["something"]),
        ('<p>some<span role="doc-pagebreak">7</span> thing</p>', ["some thing"]),
        ('<p><span class="pagenum">[Pg 12]</span>The end.</p>', ["The end."]),
        ('<p>a<span hidden="hidden">no</span>b <i aria-hidden="true">no</i>c</p>', ["ab c"]),
        (
            '<p>a</p><p style="display: none">no</p><script>x()</script><template>t</template>',
            ["a"],
        ),
        ("<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby> letters</p>", ["漢 letters"]),
        ('<p>See <img src="x.png" alt="a cat"/> here.</p>', ["See here."]),
        (
            "<p>One</p><figure><img src='x.png'/><figcaption><p>Fig. 1</p></figcaption></figure><p>Two</p>",
            ["One", "Two"],
        ),
        (
            "<p>going on<a id='p11' class='pageno' title='[Pg 11]'></a> shrinking</p>",
            ["going on shrinking"],
        ),
        ("<h2 class='pagebreak'>Chapter I</h2><div class='pagebreak'>V</div>", ["Chapter I", "V"]),
        ("<nav><ol><li>Contents</li></ol></nav><p>a</p>", ["a"]),
        ("<p>Hit</p><pre><code>x = 1</code></pre>", ["Hit"]),
        ("<p>…</p><p>“—”</p><p>Go.</p>", ["Go."]),
        # Joined and parted
        ('<p><span class="dropcap">T</span>he <b>old</b> man</p>', ["The old man"]),
        ("<div>One <p>two</p> three</div>", ["One", "two", "three"]),
        ("<p>Dear Sir,<br/>I write to you.</p>", ["Dear Sir,", "I write to you."]),
        (
            "<p>It was a long line that the typist<br/>broke for looks.</p>",
            ["It was a long line that the typist broke for looks."],
        ),
        ("<a href='#x'><p>a</p><p>b</p></a>", ["a", "b"]),
        ("<p>a<!-- no -->b<?pi no?>c</p>", ["abc"]),
    ],
)
def test_what_is_read(body: str, read: list[str]) -> None:
    assert texts(body) == read


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ("<h1>Chapter <span epub:type='z3998:roman'>IV</span></h1>", [("heading", "Chapter IV")]),
        ("<h2>Chapter 1<br/>The Start</h2>", [("heading", "Chapter 1"), ("heading", "The Start")]),
        ("<h2><span epub:type='z3998:roman'>I</span> <span epub:type='subtitle'>Of Rain</span></h2>",
         [("heading", "I"), ("heading", "Of Rain")]),
        ("<hgroup><h2>I</h2><p>Of Rain</p></hgroup>", [("heading", "I"), ("heading", "Of Rain")]),
        ("<p class='chapter-title'>Of Rain</p>", [("heading", "Of Rain")]),
        ("<blockquote><p>Said.</p></blockquote>", [("quote", "Said.")]),
        ("<blockquote epub:type='z3998:letter'><p>Dear</p><footer><p>Yours</p></footer></blockquote>",
         [("letter", "Dear"), ("letter", "Yours")]),
        ("<ul><li>one</li><li><p>two</p></li></ul>", [("list_item", "one"), ("list_item", "two")]),
        ("<p>a</p><hr/><p>b</p>", [("paragraph", "a"), ("scene_break", ""), ("paragraph", "b")]),
        ("<p>a</p><p>* * *</p><p>b</p>", [("paragraph", "a"), ("scene_break", ""), ("paragraph", "b")]),
        ("<p>⁂</p><p>#</p><p>***</p>", [("scene_break", "")] * 3),
        ("<p>a</p><p class='scene-break'>&#160;</p>", [("paragraph", "a"), ("scene_break", "")]),
        ("<div epub:type='z3998:poem'><p><span>One line</span><br/><span>And two</span></p></div>",
         [("verse", "One line"), ("verse", "And two")]),
        ("<div class='poem'><p>The <span class='sc'>Lord</span> is<br/>my keeper</p></div>",
         [("verse", "The Lord is"), ("verse", "my keeper")]),
        (
            "<div class='linegroup'><div class='ln'>I will show you fear,<span class='lnum'>30</span></div>"
            "<blockquote xml:lang='de'><div class='ln'>Frisch weht der Wind<a epub:type='noteref' "
            "href='#n'>*</a></div></blockquote></div>",
            [("verse", "I will show you fear,"), ("verse", "Frisch weht der Wind")],
        ),
        ("<div class='stanza'><div class='i0'>One</div><div class='i2'>Two</div></div>",
         [("verse", "One"), ("verse", "Two")]),
        ("<p>Tyger Tyger, burning bright,<br/>In the forests of the night;<br/>What immortal hand</p>",
         [("verse", "Tyger Tyger, burning bright,"), ("verse", "In the forests of the night;"),
          ("verse", "What immortal hand")]),
        ("<table><tr><th>Fruit</th><th>Price</th></tr><tr><td>Pears</td><td>2d.</td></tr></table>",
         [("paragraph", "Fruit, Price"), ("paragraph", "Pears, 2d.")]),
        ("<table><tr><td><p>One.</p><p>Two.</p></td><td><p>Three.</p></td></tr></table>",
         [("paragraph", "One."), ("paragraph", "Two."), ("paragraph", "Three.")]),
    ],
)  # fmt: skip
def test_what_it_is_read_as(body: str, read: list[tuple[str, str]]) -> None:
    assert kinds(body) == read


def test_the_books_own_style_hides_and_parts() -> None:
    css = ".kindle, p.note { display: none } @media print { .shown { display: none } } .l { display: block }"
    body = (
        "<p class='kindle'>no</p><p class='note'>no</p><p class='shown'>yes</p>"
        "<p><span class='l'>one</span><span class='l'>two</span></p>"
    )
    assert texts(body, css=css) == ["yes", "one", "two"]
    italic = read_body(
        "<p>so <span class='it'>very</span> old</p>", css=".it { font-style: italic }"
    )
    assert [(s.start, s.end, s.kind) for s in italic[0].spans] == [(3, 7, SpanKind.EMPHASIS)]


def test_spans_say_what_is_marked() -> None:
    (block,) = read_body(
        "<p>The <i xml:lang='fr'>mot <b>juste</b></i>, <em>he</em> told "
        "<abbr epub:type='z3998:name-title'>Dr.</abbr> Ames <i epub:type='se:name.vessel.ship'>Argo</i> "
        "<span lang='en-GB'>home</span>.</p>"
    )
    marked = {(block.text[s.start : s.end], s.kind.value, s.value) for s in block.spans}
    assert marked == {
        ("mot juste", "language", "fr"),
        ("juste", "emphasis", ""),
        ("he", "emphasis", ""),
        ("Dr.", "abbreviation", "z3998:name-title"),
    }


def test_a_language_within_a_language_ends_where_it_ends() -> None:
    (block,) = read_body("<p>A <i lang='la'>b <span lang='en'>c</span> d</i> e</p>")
    found = [(block.text[s.start : s.end], s.value) for s in block.spans if s.value]
    assert found == [("b", "la"), ("d", "la")]


def test_places_name_element_and_raw_offsets() -> None:
    source = page(
        "<section><p>x</p><p>Some<span hidden=''>XX</span>  <b>bold\n word</b></p></section>"
    )
    root = parse_page(source.encode(), "page").root
    blocks = [p.block for p in PageReader("d", "en", Stylesheet(), set()).read(root).passages]
    block = blocks[1]
    assert (block.node, block.text) == ("/4/2/4", "Some bold word")
    place = block.place(block.text.index("word"), len(block.text))
    raw = str(etree.fromstring(source.encode()).xpath("string(//*[local-name()='p'][2])"))
    assert raw[place.start : place.end] == "word"
    with pytest.raises(ValueError, match="no text"):
        block.place(3, 3)


def test_broken_xhtml_is_read_as_a_browser_reads_it(tmp_path: Path) -> None:
    broken = (
        "<html><head><title/></head><body><h1>One</h1><p>First <i>slanted<p>Second & third<br>line"
        "<table><tr><td>cell</table><div>tail <a id=x/>end"
    )
    book = read_made(tmp_path, {"a.xhtml": broken})
    assert [b.text for b in book.chapters[0].blocks] == [
        "One",
        "First slanted",
        "Second & third line",
        "cell",
        "tail end",
    ]
    assert [n for n in book.notes if "a.xhtml is broken XHTML" in n]


def read_made(folder: Path, pages: dict[str, str], **parts: str) -> Book:
    return read_manuscript(MadeEpub(pages, **parts).write(folder))  # type: ignore[arg-type]


def test_notes_are_found_by_the_links_that_lead_to_them(tmp_path: Path) -> None:
    text = page(
        "<h1>One</h1><p>He left<a id='r1' href='notes.xhtml#n1'><sup>1</sup></a> at noon.</p>"
        "<p>The ship<sup><a id='r2' href='#n2'>2</a></sup> sailed.</p>"
        "<p id='n2'><a href='#r2'>2</a> A brig of ninety tons.</p>"
    )
    notes = page("<h2>Remarks</h2><p id='n1'><a href='one.xhtml#r1'>1</a> By coach.</p>")
    book = read_made(
        tmp_path,
        {"one.xhtml": text, "notes.xhtml": notes},
        nav=entry("One", "one.xhtml"),
    )
    read = [b.text for c in book.chapters for b in c.blocks]
    assert read == ["One", "He left at noon.", "The ship sailed.", "Remarks"]


MARKUP = st.recursive(
    st.text(alphabet="ab c.,“”‘’\u00a0\u2060\u00ad\u200a\n1[]é", max_size=8),
    lambda inner: st.builds(
        lambda tag, parts: f"<{tag}>{''.join(parts)}</{tag.split()[0]}>",
        st.sampled_from(
            [
                "p", "div", "span", "em", "i lang='fr'", "abbr", "blockquote", "h2", "li", "sup",
                "span hidden=''", "tr", "td", "table", "div class='poem'", "pre", "section", "b",
                "a href='#x'", "ruby", "rt", "p class='scenebreak'", "span epub:type='pagebreak'",
            ]
        ),
        st.lists(st.one_of(inner, st.just("<br/>"), st.just("<hr/>"), st.just("<!--x-->")), max_size=5),
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(MARKUP, max_size=4))
def test_offsets_hold_for_any_page(parts: list[str]) -> None:
    source = page("".join(parts))
    tree = etree.fromstring(source.encode())
    root = parse_page(source.encode(), "page").root
    for passage in PageReader("d", "en", Stylesheet(), set()).read(root).passages:
        block = passage.block
        assert len(block.offsets) == len(block.text)
        assert list(block.offsets) == sorted(block.offsets)
        assert block.text == block.text.strip() and "  " not in block.text
        element = tree
        for step in block.node.strip("/").split("/"):
            element = [c for c in element if isinstance(c.tag, str)][int(step) // 2 - 1]
        raw = str(element.xpath("string()"))
        for i, (char, offset) in enumerate(zip(block.text, block.offsets, strict=True)):
            inserted = char == "," and i and block.offsets[i - 1] == offset
            assert raw[offset : offset + 1] == char or char == " " or inserted
        for span in block.spans:
            assert 0 <= span.start < span.end <= len(block.text)


def test_every_word_of_a_made_book_is_found_again(tmp_path: Path) -> None:
    body = "<h1>One</h1><p>A <em>b</em>\u2060c</p><blockquote>d\u00ad e</blockquote><ul><li>f g</li></ul>"
    path = MadeEpub({"a b.xhtml": page(body)}).write(tmp_path)
    for block in read_manuscript(path).chapters[0].blocks:
        for start, end in words(block):
            place = block.place(start, end)
            raw = raw_element_text(path, place.document, place.node)
            assert seen(raw[place.start : place.end]) == block.text[start:end]
    assert block.kind is BlockKind.LIST_ITEM
