"""The door: tells by its content what a manuscript is, and has the right reader read it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from generation.errors import (
    EmptyManuscript,
    EncryptedManuscript,
    ManuscriptError,
    UnsupportedManuscript,
)
from generation.manuscript.book import BlockKind, Book, ChapterKind
from generation.manuscript.container import Container, check_size
from generation.manuscript.docx import read_docx
from generation.manuscript.epub import read_epub
from generation.manuscript.markdown import looks_like_markdown, read_markdown
from generation.manuscript.text import decode_text, read_text

READ = "Submit EPUB, DOCX, plain text or Markdown."

_MARKDOWN_SUFFIXES = frozenset({".md", ".markdown", ".mkd", ".mdown"})
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # MS-CFB, 2.2
_MOBI_AT = 60  # the type and creator of a Palm database
_HEAD_BYTES = 4096
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (b"{\\rtf", "an RTF file", "Open it in a word processor and save it as DOCX."),
    (b"TPZ", "a Kindle Topaz book", "Ask the publisher for the EPUB."),
    (b"\xeaDRMION\xee", "a Kindle KFX book with DRM", "Ask the publisher for the EPUB."),
    (b"CONT\x02\x00", "a Kindle KFX book", "Ask the publisher for the EPUB."),
    (b"AT&TFORM", "a DjVu scan", "Have its text recognised and submit that as EPUB or DOCX."),
    (b"\x89PNG", "a picture", READ),
    (b"\xff\xd8\xff", "a picture", READ),
    (b"GIF8", "a picture", READ),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and submit the manuscript inside."),
    (b"Rar!", "a RAR archive", "Unpack it and submit the manuscript inside."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it and submit the manuscript inside."),
    (b"RIFF", "a sound or video file", READ),
    (b"ID3", "a sound file", READ),
)


def read_manuscript(path: Path) -> Book:
    """Read a manuscript of any accepted format; its content says which, whatever its name.

    Parameters
    ----------
    path
        An EPUB 2 or 3, DOCX, plain text or Markdown file.

    Returns
    -------
    Book
        The book, with the file's digest, and notes on what was mended or left out.

    Raises
    ------
    UnsupportedManuscript
        For PDF, Kindle and other formats that are not read.
    EncryptedManuscript
        For DRM or a password.
    EmptyManuscript
        Where there is nothing to read.
    HostileManuscript
        For a file that is too large, or made to do harm.
    ManuscriptError
        Where the file is missing or damaged.
    """
    if not path.exists():
        raise ManuscriptError(f"There is no file {path}. Check the name.")
    if not path.is_file():
        raise UnsupportedManuscript(f"{path} is a folder. {READ}")
    check_size(path)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip():
        raise EmptyManuscript(f"{path.name} is empty. Submit the manuscript itself.")
    book = _reader(path, head)(path)
    if not any(b.text for c in book.chapters for b in c.blocks if b.kind is not BlockKind.HEADING):
        raise EmptyManuscript(f"{path.name} has headings but no text to read.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return replace(book, source_digest=digest, notes=(*book.notes, *_not_read(book)))


def _not_read(book: Book) -> tuple[str, ...]:
    titles = ", ".join(f"“{c.title}”" for c in book.chapters if c.kind is not ChapterKind.BODY)
    return (f"Front and back matter, not read unless chosen by title: {titles}.",) if titles else ()


def _reader(path: Path, head: bytes) -> Callable[[Path], Book]:
    if head.startswith(b"PK"):
        return _zip_reader(path)
    _refuse(path, head)
    text = decode_text(path)[0]
    suffix = path.suffix.lower()
    if suffix in _MARKDOWN_SUFFIXES or looks_like_markdown(text):
        return read_markdown
    return read_text


def _zip_reader(path: Path) -> Callable[[Path], Book]:
    with Container(path) as container:
        media_type = b""
        if "mimetype" in container:
            media_type = container.read("mimetype").strip()
        names = container.names
    if media_type == b"application/epub+zip" or "META-INF/container.xml" in names:
        return read_epub
    if "word/document.xml" in names or "[Content_Types].xml" in names:
        return read_docx
    if media_type.startswith(b"application/vnd.oasis.opendocument"):
        raise UnsupportedManuscript(
            f"{path.name} is an OpenDocument file. Save it as DOCX in your word processor."
        )
    return read_epub  # which says what an EPUB would need, or finds its package all the same


def _refuse(path: Path, head: bytes) -> None:
    """Raise the fitting error for a format that is not read."""
    name = path.name
    if b"%PDF-" in head[:1024]:
        raise UnsupportedManuscript(
            f"{name} is a PDF, which fixes where ink goes and not what is read: lines, page "
            "numbers and notes cannot be told apart safely. Submit the EPUB or DOCX that the PDF was "
            "made from."
        )
    if head[_MOBI_AT : _MOBI_AT + 8] in (b"BOOKMOBI", b"TEXtREAd"):
        raise UnsupportedManuscript(
            f"{name} is a Kindle book (MOBI or AZW). Submit the publisher's EPUB; Calibre converts "
            "books without DRM."
        )
    if head.startswith(_OLE):
        _refuse_ole(path)
    for mark, kind, advice in _REFUSED:
        if head.startswith(mark):
            raise UnsupportedManuscript(f"{name} is {kind}. {advice}")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")):
        raise UnsupportedManuscript(
            f"{name} is a single HTML or XML page. Convert it to EPUB (with Calibre or Pandoc)."
        )


def _refuse_ole(path: Path) -> None:
    if "EncryptedPackage".encode("utf-16-le") in path.read_bytes():
        raise EncryptedManuscript(
            f"{path.name} is locked with a password. Open it in Word, remove the password "
            "(File, Info, Protect Document), and save it again."
        )
    raise UnsupportedManuscript(
        f"{path.name} is a Word file of before 2007 (or another OLE file). Save it as DOCX."
    )
