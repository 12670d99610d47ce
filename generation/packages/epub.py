"""EPUB 3 with Media Overlays: the book's text, each word lit as it is read (EPUB 3.3, section 9).

A page, an overlay (SMIL) and an MP3 for each recording. A word's clip lasts until the next word begins, so
that players which go from clip to clip play the pauses too.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from generation.manuscript.book import Block, BlockKind, SpanKind
from generation.packages.archive import write_zip
from generation.packages.edition import Edition, Recording, TimedText, timed_blocks

ACTIVE_CLASS = "-epub-media-overlay-active"

_TAGS = {
    BlockKind.PARAGRAPH: ("<p>", "</p>"),
    BlockKind.VERSE: ('<p class="verse">', "</p>"),
    BlockKind.QUOTE: ("<blockquote><p>", "</p></blockquote>"),
    BlockKind.LETTER: ('<p class="letter">', "</p>"),
    BlockKind.LIST_ITEM: ('<p class="item">', "</p>"),
}
_STYLE = f"""\
body {{ font-family: serif; line-height: 1.5; margin: 5%; }}
p {{ margin: 0; text-indent: 1.5em; }}
h1 + p, h2 + p, hr + p {{ text-indent: 0; }}
.verse, .item {{ text-indent: 0; margin-left: 2em; }}
.letter {{ text-indent: 0; margin: 0.5em 2em; }}
hr {{ border: none; border-top: 1px solid; width: 20%; margin: 2em auto; }}
.{ACTIVE_CLASS} {{ background-color: #ffe58a; color: #000; }}
"""
_CONTAINER = """\
<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
 <rootfiles><rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""


def write_epub(edition: Edition, path: Path) -> None:
    """Write the book with its sound; every recording must have its text."""
    write_zip(path, _entries(edition))


def _entries(edition: Edition) -> Iterator[tuple[str, bytes | Path]]:
    yield "mimetype", b"application/epub+zip"
    yield "META-INF/container.xml", _CONTAINER.encode()
    yield "EPUB/package.opf", _package(edition).encode()
    yield "EPUB/nav.xhtml", _navigation(edition).encode()
    yield "EPUB/style.css", _STYLE.encode()
    yield "EPUB/cover.jpg", edition.cover
    for recording in edition.recordings:
        page, overlay = _page_and_overlay(edition, recording)
        yield f"EPUB/text/{recording.stem}.xhtml", page.encode()
        yield f"EPUB/text/{recording.stem}.smil", overlay.encode()
        yield f"EPUB/audio/{recording.stem}.mp3", recording.mp3


def _page_and_overlay(edition: Edition, recording: Recording) -> tuple[str, str]:
    assert recording.text is not None
    blocks = recording.text.blocks
    marked = timed_blocks(blocks, recording.times.words)
    clips = [timed for block in marked for timed in block]
    body: list[str] = []
    number = headings = 0
    for block, timed in zip(blocks, marked, strict=True):
        first = block.kind is BlockKind.HEADING and not headings
        headings += block.kind is BlockKind.HEADING
        body.append(_element(block, timed, number, first))
        number += len(timed)
    section = '<section id="text" epub:type="chapter">\n{}\n</section>'.format("\n".join(body))
    page = _document(recording.title, edition.language, section)
    return page, _overlay(recording, clips)


def _element(block: Block, timed: tuple[TimedText, ...], number: int, first: bool) -> str:
    if block.kind is BlockKind.SCENE_BREAK:
        return "<hr/>"
    level = "h1" if first else "h2"
    opening, closing = _TAGS.get(block.kind, (f"<{level}>", f"</{level}>"))
    pieces, at = [opening], 0
    for i, word in enumerate(timed, number):
        pieces.append(_styled(block, at, word.start))
        pieces.append(f'<span id="w{i}">{_styled(block, word.start, word.end)}</span>')
        at = word.end
    pieces += [_styled(block, at, len(block.text)), closing]
    return "".join(pieces)


def _styled(block: Block, start: int, end: int) -> str:
    """Return a stretch of text with its emphasis."""
    spans = [
        (max(start, span.start), min(end, span.end))
        for span in block.spans
        if span.kind is SpanKind.EMPHASIS and span.start < end and span.end > start
    ]
    pieces, at = [], start
    for first, last in sorted(spans):
        first = max(first, at)
        if first < last:
            pieces.append(escape(block.text[at:first], quote=False))
            pieces.append(f"<em>{escape(block.text[first:last], quote=False)}</em>")
            at = last
    return "".join((*pieces, escape(block.text[at:end], quote=False)))


def _document(title: str, language: str, body: str, extra: str = "") -> str:
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"\
 xml:lang="{escape(language)}" lang="{escape(language)}">
<head><title>{escape(title)}</title>\
<link rel="stylesheet" type="text/css" href="{extra or "../style.css"}"/></head>
<body>
{body}
</body>
</html>
"""


def _overlay(recording: Recording, clips: list[TimedText]) -> str:
    ends = [*(clip.start_s for clip in clips[1:]), recording.duration_s]
    pars = "\n".join(
        f'<par id="p{i}"><text src="{recording.stem}.xhtml#w{i}"/>'
        f'<audio src="../audio/{recording.stem}.mp3" clipBegin="{_seconds(clip.start_s if i else 0)}"'
        f' clipEnd="{_seconds(max(end_s, clip.start_s + 0.001))}"/></par>'
        for i, (clip, end_s) in enumerate(zip(clips, ends, strict=True))
    )
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<smil xmlns="http://www.w3.org/ns/SMIL" xmlns:epub="http://www.idpf.org/2007/ops" version="3.0">
<body><seq id="s" epub:textref="{recording.stem}.xhtml#text" epub:type="chapter">
{pars}
</seq></body>
</smil>
"""


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}s"


def _navigation(edition: Edition) -> str:
    items = "\n".join(
        f'<li><a href="text/{recording.stem}.xhtml">{escape(recording.title)}</a></li>'
        for recording in edition.recordings
    )
    body = f'<nav epub:type="toc" id="toc"><h1>Contents</h1><ol>\n{items}\n</ol></nav>'
    return _document(edition.book.title, edition.language, body, "style.css")


def _package(edition: Edition) -> str:
    book = edition.book
    identifier = f"urn:isbn:{book.isbn}" if book.isbn else edition.identity
    optional = {
        "dc:publisher": book.publisher,
        "dc:date": book.published,
        "dc:description": book.description,
        "dc:rights": book.rights,
    }
    said = "\n".join(
        f"<{name}>{escape(value)}</{name}>" for name, value in optional.items() if value
    )
    creators = "\n".join(
        f'<dc:creator id="a{i}">{escape(name)}</dc:creator>'
        f'<meta refines="#a{i}" property="role" scheme="marc:relators">aut</meta>'
        for i, name in enumerate(book.authors)
    )
    stems = [recording.stem for recording in edition.recordings]
    manifest = "\n".join(
        f'<item id="t-{s}" href="text/{s}.xhtml" media-type="application/xhtml+xml" media-overlay="o-{s}"/>'
        f'<item id="o-{s}" href="text/{s}.smil" media-type="application/smil+xml"/>'
        f'<item id="m-{s}" href="audio/{s}.mp3" media-type="audio/mpeg"/>'
        for s in stems
    )
    durations = "\n".join(
        f'<meta property="media:duration" refines="#o-{r.stem}">{_seconds(r.duration_s)}</meta>'
        for r in edition.recordings
    )
    spine = "".join(f'<itemref idref="t-{stem}"/>' for stem in stems)
    total_s = sum(round(recording.duration_s, 3) for recording in edition.recordings)
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id"\
 xml:lang="{escape(edition.language)}">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">{escape(identifier)}</dc:identifier>
<dc:title>{escape(book.title)}</dc:title>
<dc:language>{escape(edition.language)}</dc:language>
{creators}
<dc:contributor id="n">{escape(edition.narrator)}</dc:contributor>
<meta refines="#n" property="role" scheme="marc:relators">nrt</meta>
{said}
<meta property="dcterms:modified">{edition.modified}</meta>
<meta property="media:duration">{_seconds(total_s)}</meta>
{durations}
<meta property="media:narrator">{escape(edition.narrator)}</meta>
<meta property="media:active-class">{ACTIVE_CLASS}</meta>
<meta property="schema:accessMode">textual</meta>
<meta property="schema:accessMode">auditory</meta>
<meta property="schema:accessModeSufficient">textual</meta>
<meta property="schema:accessModeSufficient">auditory</meta>
<meta property="schema:accessibilityFeature">synchronizedAudioText</meta>
<meta property="schema:accessibilityFeature">tableOfContents</meta>
<meta property="schema:accessibilityHazard">none</meta>
<meta property="schema:accessibilitySummary">{escape(edition.disclosure)}</meta>
</metadata>
<manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="css" href="style.css" media-type="text/css"/>
<item id="cover" href="cover.jpg" media-type="image/jpeg" properties="cover-image"/>
{manifest}
</manifest>
<spine>{spine}</spine>
</package>
"""
