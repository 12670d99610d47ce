"""Files that are damaged, locked or made to do harm: each gets its own error; nothing outside is read."""

import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
from made_books import CONTAINER, PROSE, MadeEpub, entry, page, write_zip

from generation.errors import (
    EmptyManuscript,
    EncryptedManuscript,
    HostileManuscript,
    ManuscriptError,
    UnsupportedManuscript,
)
from generation.manuscript import container, markup, read_manuscript, xhtml

GOOD = {"a.xhtml": page(f"<h1>One</h1>{PROSE}")}


def refused(path: Path, kind: type[ManuscriptError], match: str) -> str:
    """Check that a file is refused with exactly this kind of error, naming the file."""
    with pytest.raises(ManuscriptError, match=match) as caught:
        read_manuscript(path)
    assert type(caught.value) is kind
    assert path.name in str(caught.value)
    return str(caught.value)


# Not a manuscript.


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("a.pdf", b"%PDF-1.7\n1 0 obj", "PDF.*EPUB or DOCX"),
        ("a.epub", b"\n\n%PDF-1.4", "is a PDF"),
        ("a.mobi", b"\0" * 60 + b"BOOKMOBI" + b"\0" * 99, "Kindle"),
        ("a.azw3", b"x" * 60 + b"BOOKMOBI" + b"\0" * 99, "Kindle"),
        ("a.azw", b"TPZ0" + b"\0" * 99, "Topaz"),
        ("a.kfx", b"CONT\x02\x00" + b"\0" * 99, "KFX"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "before 2007"),
        ("a.rtf", b"{\\rtf1 Hello}", "RTF"),
        ("a.txt", b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "picture"),
        ("a.html", b"<!DOCTYPE html><p>x", "Convert it to EPUB"),
        ("a.txt", bytes(range(256)) * 9, "no text"),
        ("a.epub", b"PK\x03\x04" + b"\0" * 200, "cut off"),
    ],
)
def test_formats_that_are_not_read(tmp_path: Path, name: str, data: bytes, match: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    refused(path, UnsupportedManuscript, match)


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    path = MadeEpub(GOOD).write(tmp_path, "really-an-epub.txt")
    assert read_manuscript(path).title == "A Made Book"


def test_missing_empty_and_folders(tmp_path: Path) -> None:
    refused(tmp_path / "none.epub", ManuscriptError, "no file")
    refused(tmp_path, UnsupportedManuscript, "folder")
    (tmp_path / "void.epub").write_bytes(b"")
    refused(tmp_path / "void.epub", EmptyManuscript, "empty")
    (tmp_path / "blank.txt").write_bytes(b" \n\n\t")
    refused(tmp_path / "blank.txt", EmptyManuscript, "empty")


def test_zip_files_that_are_no_epub(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.epub", {"x.txt": "hello"}, mimetype="")
    refused(path, UnsupportedManuscript, "not an EPUB")
    odt = write_zip(
        tmp_path / "a.odt", {"content.xml": "<x/>"}, "application/vnd.oasis.opendocument.text"
    )
    refused(odt, UnsupportedManuscript, "OpenDocument")


# Encrypted.


def encryption(uri: str, algorithm: str) -> str:
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
        f'<enc:EncryptionMethod Algorithm="{algorithm}"/><enc:CipherData>'
        f'<enc:CipherReference URI="{uri}"/></enc:CipherData></enc:EncryptedData></encryption>'
    )


AES = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"


def test_encrypted_text_is_refused_and_encrypted_fonts_are_fine(tmp_path: Path) -> None:
    locked = MadeEpub(GOOD, extra={"META-INF/encryption.xml": encryption("OEBPS/a.xhtml", AES)})
    refused(locked.write(tmp_path), EncryptedManuscript, "encrypted.*without DRM")
    locked.extra["META-INF/license.lcpl"] = "{}"
    refused(locked.write(tmp_path), EncryptedManuscript, "Readium LCP")
    font = encryption("OEBPS/f.otf", "http://www.idpf.org/2008/embedding")
    book = MadeEpub(GOOD, extra={"META-INF/encryption.xml": font, "OEBPS/f.otf": b"\1\2"})
    assert read_manuscript(book.write(tmp_path)).body[0].title == "One"


def test_a_zip_with_a_password_is_refused(tmp_path: Path) -> None:
    path = MadeEpub(GOOD).write(tmp_path)
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature, data.find(signature) + 4)
        data[at + flags] |= 1
    path.write_bytes(data)
    refused(path, EncryptedManuscript, "password")


def test_an_encrypted_word_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + b"\0" * 512
        + "EncryptedPackage".encode("utf-16-le")
        + b"\0" * 99
    )
    refused(path, EncryptedManuscript, "remove the password")


# Nothing to read, or not all of it.


def test_empty_spines_and_books_without_text(tmp_path: Path) -> None:
    refused(MadeEpub(GOOD, spine="").write(tmp_path), EmptyManuscript, "empty spine")
    pictures = {"a.xhtml": page('<p><img src="1.png" alt="page 1"/></p>')}
    refused(MadeEpub(pictures).write(tmp_path), EmptyManuscript, "no text")
    headings = {"a.xhtml": page("<h1>Only</h1>")}
    refused(MadeEpub(headings).write(tmp_path), EmptyManuscript, "no text")


def test_missing_texts_are_refused_not_skipped(tmp_path: Path) -> None:
    spine = '<itemref idref="p0"/><itemref idref="ghost"/>'
    refused(MadeEpub(GOOD, spine=spine).write(tmp_path), ManuscriptError, "ghost.*manifest lacks")
    item = '<item id="ghost" href="g.xhtml" media-type="application/xhtml+xml"/>'
    missing = MadeEpub(GOOD, spine=spine, manifest=item)
    refused(missing.write(tmp_path), ManuscriptError, "OEBPS/g.xhtml.*not in the file")


def test_damaged_packages(tmp_path: Path) -> None:
    no_opf = write_zip(tmp_path / "a.epub", {"META-INF/container.xml": CONTAINER})
    refused(no_opf, ManuscriptError, "lacks its package document")
    broken = MadeEpub(GOOD, extra={"OEBPS/content.opf": "never XML"})
    refused(broken.write(tmp_path), ManuscriptError, "is not XML")


def test_damaged_data_is_told(tmp_path: Path) -> None:
    path = MadeEpub(GOOD).write(tmp_path)
    with zipfile.ZipFile(path) as made:
        info = made.getinfo("OEBPS/a.xhtml")
    data = bytearray(path.read_bytes())
    at = info.header_offset + 30 + len(info.filename) + 8
    data[at : at + 20] = b"\xff" * 20
    path.write_bytes(data)
    refused(path, ManuscriptError, r"OEBPS/a\.xhtml.*damaged")


# Made to do harm.


def test_zip_bombs(tmp_path: Path) -> None:
    bomb = MadeEpub(GOOD, extra={"OEBPS/b.xhtml": b" " * (64 * 1024 * 1024)})
    path = bomb.write(tmp_path)
    assert path.stat().st_size < 200_000
    refused(path, HostileManuscript, "ZIP bomb")


def test_too_much_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = MadeEpub(GOOD, extra={f"OEBPS/{i}.bin": b"0123456789" * 50 for i in range(40)}).write(
        tmp_path
    )
    assert read_manuscript(path).body
    monkeypatch.setattr(container, "MAX_UNPACKED_BYTES", 15_000)
    refused(path, HostileManuscript, "unpacks to")
    monkeypatch.undo()
    monkeypatch.setattr(container, "MAX_FILE_BYTES", 1000)
    refused(path, HostileManuscript, "at most 0 MiB")


def test_too_long_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {f"{i}.xhtml": page(PROSE * 10) for i in range(4)}
    path = MadeEpub(pages).write(tmp_path)
    monkeypatch.setattr("generation.manuscript.epub.MAX_CHARACTERS", 2000)
    refused(path, HostileManuscript, "more than 2,000 characters")
    monkeypatch.setattr(xhtml, "MAX_CHARACTERS", 500)
    with pytest.raises(HostileManuscript, match="alone has more"):
        read_manuscript(path)


def test_a_file_that_lies_about_its_size(tmp_path: Path) -> None:
    """The directory claims 10 bytes, the data unpack to a megabyte: never more than claimed is used."""
    path = MadeEpub({"a.xhtml": page(PROSE * 20_000)}).write(tmp_path)
    with zipfile.ZipFile(path) as made:
        names = made.namelist()
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(names.index("OEBPS/a.xhtml") + 1):
        at = data.find(b"PK\x01\x02", at + 1)
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    refused(path, ManuscriptError, "damaged")


def test_entries_beyond_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = MadeEpub(GOOD, extra={f"x/{i}": "" for i in range(30)}).write(tmp_path)
    monkeypatch.setattr(container, "MAX_ENTRIES", 20)
    refused(path, HostileManuscript, "more files than a book")
    monkeypatch.undo()
    monkeypatch.setattr(container, "MAX_DIRECTORY_BYTES", 500)
    refused(path, HostileManuscript, "more files than a book")


def test_a_directory_is_never_loaded_before_its_size_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = MadeEpub(GOOD, extra={f"x/{i}": "" for i in range(30)}).write(tmp_path)
    monkeypatch.setattr(container, "MAX_ENTRIES", 20)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was loaded"))
    refused(path, HostileManuscript, "more files")


def test_zip64_is_refused(tmp_path: Path) -> None:
    path = MadeEpub(GOOD).write(tmp_path)
    data = path.read_bytes()
    at = data.rfind(b"PK\x05\x06")
    path.write_bytes(data[:at] + b"PK\x06\x07" + b"\0" * 16 + data[at:])
    refused(path, HostileManuscript, "more files than a book")


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "OEBPS/../../x", "..\\..\\x", "C:\\x", "C:/x"],
)
def test_names_that_reach_outside(tmp_path: Path, name: str) -> None:
    path = MadeEpub(GOOD, extra={name: "x"}).write(tmp_path)
    refused(path, HostileManuscript, "reaches outside")


@pytest.mark.parametrize(
    "href", ["../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "..\\..\\x"]
)
def test_links_that_reach_outside(tmp_path: Path, href: str) -> None:
    item = f'<item id="x" href="{href}" media-type="application/xhtml+xml"/>'
    epub = MadeEpub(GOOD, manifest=item, spine='<itemref idref="x"/>')
    refused(epub.write(tmp_path), HostileManuscript, "outside the book")


def test_links_to_files_of_the_machine_are_missing_texts(tmp_path: Path) -> None:
    for href in ("file:///etc/passwd", "/etc/passwd", "http://example.org/a.xhtml"):
        item = f'<item id="x" href="{href}" media-type="application/xhtml+xml"/>'
        epub = MadeEpub(GOOD, manifest=item, spine='<itemref idref="p0"/><itemref idref="x"/>')
        refused(epub.write(tmp_path), ManuscriptError, "not in the file")


def test_doubled_entries(tmp_path: Path) -> None:
    path = MadeEpub(GOOD).write(tmp_path)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as made:
        warnings.simplefilter("ignore")
        made.writestr("OEBPS/a.xhtml", page("<p>Another text.</p>"))
    refused(path, HostileManuscript, "twice")


def test_symbolic_links(tmp_path: Path) -> None:
    path = MadeEpub(GOOD).write(tmp_path)
    link = zipfile.ZipInfo("OEBPS/link.xhtml")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as made:
        made.writestr(link, "/etc/passwd")
    refused(path, HostileManuscript, "symbolic link")


LAUGHS = '<!DOCTYPE html [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
PARAMETER = '<!DOCTYPE html SYSTEM "a>b[c" [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]>'
DISGUISED = "<!-- a > --><?x y?>\n<!doctype html [ <!-- c --> <!entity a 'b'> ]>"


@pytest.mark.parametrize("prologue", [LAUGHS, OUTSIDE, PARAMETER, DISGUISED])
@pytest.mark.parametrize("where", ["page", "package", "container", "navigation"])
def test_declared_entities(tmp_path: Path, prologue: str, where: str) -> None:
    def armed(source: str) -> str:
        declaration, mark, rest = source.partition("?>")
        return f"{declaration}{mark}{prologue}{rest}"

    epub = MadeEpub(GOOD, nav=entry("One", "a.xhtml"))
    files = epub.files()
    name = {
        "page": "OEBPS/a.xhtml",
        "package": "OEBPS/content.opf",
        "container": "META-INF/container.xml",
        "navigation": "OEBPS/nav.xhtml",
    }[where]
    files[name] = armed(str(files[name]))
    path = write_zip(tmp_path / "a.epub", files)
    refused(path, HostileManuscript, "entities of its own")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "iso-8859-1"])
def test_declared_entities_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    source = page("<p>&x;</p>").replace("utf-8", encoding).replace("?>", f"?>{OUTSIDE}", 1)
    epub = MadeEpub(GOOD, extra={"OEBPS/a.xhtml": source.encode(encoding)})
    refused(epub.write(tmp_path), HostileManuscript, "entities of its own")


def test_utf_7_is_never_decoded(tmp_path: Path) -> None:
    source = page("<p>+ADw-b+AD4- and so on</p>").replace("utf-8", "utf-7")
    book = read_manuscript(MadeEpub(GOOD, extra={"OEBPS/a.xhtml": source}).write(tmp_path))
    assert book.body[0].blocks[0].text == "+ADw-b+AD4- and so on"


def test_an_external_document_type_is_not_fetched(tmp_path: Path) -> None:
    doctype = '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://127.0.0.1:9/xhtml11.dtd">'
    source = page("<p>caf&eacute; &unknown; &nbsp;now</p>").replace("?>", f"?>{doctype}", 1)
    book = read_manuscript(MadeEpub({"a.xhtml": source}).write(tmp_path))
    assert book.body[0].blocks[0].text == "café now"


def test_absurd_nesting(tmp_path: Path) -> None:
    deep = "<div>" * 3000 + "x" + "</div>" * 3000
    refused(MadeEpub({"a.xhtml": page(deep)}).write(tmp_path), HostileManuscript, "deep")
    unclosed = "<b>" * (markup.MAX_DEPTH + 5) + "x"
    refused(MadeEpub({"a.xhtml": page(unclosed)}).write(tmp_path), HostileManuscript, "deep")


def test_too_many_elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup, "MAX_ELEMENTS", 100)
    refused(
        MadeEpub({"a.xhtml": page("<i>x</i>" * 99)}).write(tmp_path), HostileManuscript, "elements"
    )


def test_too_many_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generation.manuscript.package.MAX_SPINE_ITEMS", 2)
    pages = {f"{i}.xhtml": page(PROSE) for i in range(3)}
    refused(MadeEpub(pages).write(tmp_path), HostileManuscript, "3 documents")


def test_style_and_navigation_cannot_lead_outside(tmp_path: Path) -> None:
    head = '<link rel="stylesheet" href="file:///etc/passwd"/><style>@import "/etc/passwd"; p {x: y</style>'
    epub = MadeEpub({"a.xhtml": page(PROSE, head=head)}, nav=entry("One", "http://127.0.0.1:9/x"))
    assert read_manuscript(epub.write(tmp_path)).body[0].words == 14
