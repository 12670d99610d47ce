"""An EPUB's package: container.xml, the OPF's metadata, manifest, spine and cover, and what is encrypted."""

import re
from dataclasses import dataclass, field

from generation.errors import (
    EmptyManuscript,
    EncryptedManuscript,
    HostileManuscript,
    ManuscriptError,
    UnsupportedManuscript,
)
from generation.manuscript.book import Cover
from generation.manuscript.container import Container, MiB, resolve
from generation.manuscript.markup import (
    Element,
    attribute,
    elements,
    find_all,
    local_name,
    parse_page,
    parse_xml,
    string_value,
)

MAX_SPINE_ITEMS = 5_000
"""The most documents in a reading order."""
MAX_COVER_BYTES = 32 * MiB
"""The largest cover image taken along."""

CONTAINER_PATH = "META-INF/container.xml"
ENCRYPTION_PATH = "META-INF/encryption.xml"
_PAGE_TYPES = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document"})
_LOCKS = {
    "META-INF/license.lcpl": "Readium LCP",
    "META-INF/sinf.xml": "Apple FairPlay",
    "META-INF/rights.xml": "Adobe ADEPT",
}
_LANGUAGES_639_2 = {
    "eng": "en", "fra": "fr", "fre": "fr", "deu": "de", "ger": "de", "spa": "es", "ita": "it",
    "por": "pt", "nld": "nl", "dut": "nl", "rus": "ru", "lat": "la", "ell": "el", "gre": "el",
    "swe": "sv", "dan": "da", "nor": "no", "fin": "fi", "pol": "pl", "ces": "cs", "cze": "cs",
    "hun": "hu", "tur": "tr", "jpn": "ja", "zho": "zh", "chi": "zh", "cym": "cy", "wel": "cy",
    "gle": "ga", "gla": "gd",
}  # fmt: skip
"""ISO 639-2 codes seen in old EPUBs, as BCP 47 wants them."""

_SPACES = re.compile(r"\s+")
_MARKUP = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class Item:
    """One manifest item: its path inside the container, media type and properties."""

    path: str
    media_type: str
    properties: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reference:
    """A landmark of EPUB 2's guide or EPUB 3's nav: what type of matter begins where."""

    path: str
    fragment: str
    types: frozenset[str]


@dataclass(slots=True)
class Package:
    """What an EPUB's OPF says."""

    path: str
    title: str = ""
    authors: tuple[str, ...] = ()
    language: str = ""
    identifier: str = ""
    publisher: str = ""
    published: str = ""
    description: str = ""
    rights: str = ""
    cover: Cover | None = None
    items: dict[str, Item] = field(default_factory=dict)
    spine: list[str] = field(default_factory=list)  # paths of linear documents, in reading order
    guide: list[Reference] = field(default_factory=list)
    navigation: str = ""  # path of the EPUB 3 nav document
    ncx: str = ""  # path of the EPUB 2 NCX
    notes: list[str] = field(default_factory=list)


def read_package(book: Container) -> Package:
    """Read an EPUB's package document.

    Raises
    ------
    UnsupportedManuscript
        Where this is no EPUB.
    EncryptedManuscript
        Where what is to be read is encrypted.
    EmptyManuscript
        Where the spine is empty.
    HostileManuscript
        Where a path leads outside, or the spine is absurdly long.
    ManuscriptError
        Where the package is damaged.
    """
    path = _package_path(book)
    encrypted = _encrypted(book)
    _refuse_encrypted(book, encrypted, [path])
    root = parse_xml(book.read(path), f"{path} in {book.name}")
    package = Package(path)
    metadata = next(find_all(root, "metadata"), None)
    if metadata is not None:
        _read_metadata(root, metadata, package)
    _read_manifest(book, root, package)
    _read_spine(book, root, package)
    _read_guide(book, root, package)
    _refuse_encrypted(book, encrypted, [*package.spine, package.navigation, package.ncx])
    package.cover = _cover(book, root, package, encrypted)
    return package


def normal_language(tag: str) -> str:
    """Return a language tag as BCP 47 writes it: "en_GB" is "en-GB", "eng" is "en"."""
    first, _, rest = tag.strip().replace("_", "-").partition("-")
    first = _LANGUAGES_639_2.get(first.lower(), first.lower())
    return f"{first}-{rest}" if rest else first


def plain(text: str) -> str:
    """Return a title or the like on one line, white space collapsed and invisible marks dropped."""
    text = re.sub("[\u00ad\u200b\u2060\ufeff]", "", text)
    return _SPACES.sub(" ", text).strip()


def _package_path(book: Container) -> str:
    if CONTAINER_PATH not in book:
        packages = [n for n in book.names if n.lower().endswith(".opf")]
        if len(packages) == 1:
            return packages[0]
        raise UnsupportedManuscript(
            f"{book.name} is not an EPUB: it is a ZIP file without {CONTAINER_PATH}. "
            "Submit EPUB, DOCX, plain text or Markdown."
        )
    root = parse_xml(book.read(CONTAINER_PATH), f"{CONTAINER_PATH} in {book.name}")
    for rootfile in find_all(root, "rootfile"):
        media_type = rootfile.get("media-type", "application/oebps-package+xml")
        path, _ = resolve("", rootfile.get("full-path", ""), book.name)
        if media_type == "application/oebps-package+xml" and path:
            found = book.find(path)
            if found is None:
                raise ManuscriptError(
                    f"{book.name} lacks its package document {path}. Export the book again."
                )
            return found
    raise UnsupportedManuscript(
        f"{book.name} is not an EPUB Lectern reads: {CONTAINER_PATH} names no package document."
    )


def _encrypted(book: Container) -> frozenset[str]:
    """Return the paths that META-INF/encryption.xml covers (EPUB 3.3, 4.2.6.3.2); fonts often are."""
    if ENCRYPTION_PATH not in book:
        return frozenset()
    root = parse_xml(book.read(ENCRYPTION_PATH), f"{ENCRYPTION_PATH} in {book.name}")
    return frozenset(
        resolve("", reference.get("URI", ""), book.name)[0]
        for data in find_all(root, "encrypteddata")
        for reference in find_all(data, "cipherreference")
    )


def _refuse_encrypted(book: Container, encrypted: frozenset[str], paths: list[str]) -> None:
    locked = sorted(encrypted.intersection(paths) - {""})
    if locked:
        scheme = next((f" ({name})" for path, name in _LOCKS.items() if path in book), "")
        others = f" and {len(locked) - 1} more of its texts" if len(locked) > 1 else ""
        raise EncryptedManuscript(
            f"{book.name} is encrypted{scheme}: {locked[0]}{others} cannot be read. Submit the "
            "publisher's own file without DRM."
        )


def _dc(metadata: Element, name: str) -> list[Element]:
    return [e for e in find_all(metadata, name) if plain(string_value(e))]


def _first(metadata: Element, name: str) -> str:
    found = _dc(metadata, name)
    return plain(string_value(found[0])) if found else ""


def _read_metadata(root: Element, metadata: Element, package: Package) -> None:
    refined: dict[tuple[str, str], str] = {}
    for meta in find_all(metadata, "meta"):
        key = (meta.get("refines", "").removeprefix("#"), meta.get("property", ""))
        refined.setdefault(key, plain(string_value(meta)))
    package.title = _title(metadata, refined)
    package.authors = _authors(metadata, refined)
    package.language = normal_language(_first(metadata, "language"))
    package.identifier = _identifier(root, metadata)
    package.publisher = _first(metadata, "publisher")
    dates = sorted(
        _dc(metadata, "date"), key=lambda e: attribute(e, "event") not in ("publication", "")
    )
    package.published = plain(string_value(dates[0])) if dates else ""
    package.description = plain(_MARKUP.sub(" ", _first(metadata, "description")))
    package.rights = _first(metadata, "rights")


def _title(metadata: Element, refined: dict[tuple[str, str], str]) -> str:
    titles = _dc(metadata, "title")
    mains = [e for e in titles if refined.get((e.get("id", ""), "title-type")) == "main"]
    return plain(string_value((mains or titles)[0])) if titles else ""


def _authors(metadata: Element, refined: dict[tuple[str, str], str]) -> tuple[str, ...]:
    creators = _dc(metadata, "creator")
    roles = [
        attribute(e, "role") or (refined.get((e.get("id", ""), "role"), "") if e.get("id") else "")
        for e in creators
    ]
    authors = [e for e, role in zip(creators, roles, strict=True) if role in ("", "aut")]
    names = [plain(string_value(e)) for e in authors or creators]
    return tuple(dict.fromkeys(names))


def _identifier(root: Element, metadata: Element) -> str:
    """Return the book's ISBN as a URN (RFC 8141), else its unique identifier as it stands."""
    identifiers = _dc(metadata, "identifier")
    for element in identifiers:
        digits = isbn(plain(string_value(element)))
        if digits:
            return f"urn:isbn:{digits}"
    unique = root.get("unique-identifier", "")
    named = [e for e in identifiers if unique and e.get("id") == unique]
    return plain(string_value((named or identifiers)[0])) if identifiers else ""


def isbn(text: str) -> str:
    """Return the ISBN that `text` is, without hyphens and with its check digit right, else ""."""
    digits = re.sub(r"[\s-]", "", re.sub(r"^(urn:)?isbn(-1[03])?:?", "", text.strip(), flags=re.I))
    if re.fullmatch(r"97[89]\d{10}", digits):
        weighted = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits))
        return digits if weighted % 10 == 0 else ""
    if re.fullmatch(r"\d{9}[\dXx]", digits):
        values = [10 if d in "Xx" else int(d) for d in digits]
        weighted = sum((10 - i) * v for i, v in enumerate(values))
        return digits.upper() if weighted % 11 == 0 else ""
    return ""


def _read_manifest(book: Container, root: Element, package: Package) -> None:
    manifest = next(find_all(root, "manifest"), None)
    if manifest is None:
        raise ManuscriptError(f"{package.path} in {book.name} has no manifest. Export it again.")
    for item in find_all(manifest, "item"):
        path, _ = resolve(package.path, item.get("href", ""), book.name)
        entry = Item(
            (book.find(path) or path) if path else "",
            item.get("media-type", "").strip().lower(),
            frozenset(item.get("properties", "").split()),
        )
        package.items[item.get("id", "")] = entry
        if "nav" in entry.properties:
            package.navigation = entry.path
        elif entry.media_type == "application/x-dtbncx+xml":
            package.ncx = package.ncx or entry.path


def _read_spine(book: Container, root: Element, package: Package) -> None:
    spine = next(find_all(root, "spine"), None)
    references = [] if spine is None else list(find_all(spine, "itemref"))
    if not references:
        raise EmptyManuscript(
            f"{book.name} has an empty spine: it names no text to read. Export the book again."
        )
    if len(references) > MAX_SPINE_ITEMS:
        raise HostileManuscript(
            f"{book.name} has {len(references)} documents in its spine; at most "
            f"{MAX_SPINE_ITEMS} are read."
        )
    if spine is not None and (toc := package.items.get(spine.get("toc", ""))):
        package.ncx = toc.path
    for reference in references:
        if reference.get("linear", "yes").strip().lower() != "no":
            _read_spine_item(book, root, package, reference.get("idref", ""))


def _read_spine_item(book: Container, root: Element, package: Package, name: str) -> None:
    item = package.items.get(name)
    if item is None:
        raise ManuscriptError(
            f"The spine of {book.name} names {name!r}, which its manifest lacks: a text is "
            "missing. Export the book again."
        )
    if not item.path or item.path not in book:
        raise ManuscriptError(
            f"The spine of {book.name} names {item.path or name!r}, which is not in the file: a "
            "text is missing. Export the book again."
        )
    page = _readable(book, root, package, name)
    if page is None:
        package.notes.append(
            f"{item.path} ({item.media_type or 'no media type'}) is in the spine but is no text; "
            "left out."
        )
    elif page not in package.spine:
        package.spine.append(page)


def _readable(book: Container, root: Element, package: Package, name: str) -> str | None:
    """Return the path of an XHTML page for a spine item, following the manifest's fallbacks."""
    fallbacks = {i.get("id", ""): i.get("fallback", "") for i in find_all(root, "item")}
    seen: set[str] = set()
    while name and name not in seen:
        seen.add(name)
        item = package.items.get(name)
        if item is None or item.path not in book:
            return None
        if item.media_type in _PAGE_TYPES:
            return item.path
        if not item.media_type.startswith(("image/", "audio/", "video/", "font/")):
            head = book.read(item.path)[:2000].lower()
            if b"<html" in head or b"<body" in head:
                package.notes.append(
                    f"{item.path} is declared as {item.media_type or 'nothing'} but is XHTML; read."
                )
                return item.path
        name = fallbacks.get(name, "")
    return None


def _read_guide(book: Container, root: Element, package: Package) -> None:
    guide = next(find_all(root, "guide"), None)
    for reference in [] if guide is None else elements(guide):
        path, fragment = resolve(package.path, reference.get("href", ""), book.name)
        types = frozenset(reference.get("type", "").lower().split())
        if path and types and local_name(reference) == "reference":
            package.guide.append(Reference(book.find(path) or path, fragment, types))


def _cover(
    book: Container, root: Element, package: Package, encrypted: frozenset[str]
) -> Cover | None:
    """Return the cover: EPUB 3's property, else EPUB 2's meta, else the guide's cover page's image."""
    images = {k: i for k, i in package.items.items() if i.media_type.startswith("image/")}
    named = [
        meta.get("content", "")
        for meta in find_all(root, "meta")
        if meta.get("name", "").lower() == "cover"
    ]
    candidates = [
        *(i for i in images.values() if "cover-image" in i.properties),
        *(images[n] for n in named if n in images),
        *(i for i in images.values() if any(n and i.path.endswith("/" + n) for n in named)),
        *_guide_covers(book, package),
        *(i for k, i in images.items() if k.lower() in ("cover", "cover-image", "coverimage")),
    ]
    for item in candidates:
        if item.path in book and item.path not in encrypted:
            try:
                return Cover(book.read(item.path, MAX_COVER_BYTES), item.media_type)
            except ManuscriptError as error:
                package.notes.append(f"The cover was left out: {error}")
                return None
    return None


def _guide_covers(book: Container, package: Package) -> list[Item]:
    by_path = {i.path: i for i in package.items.values() if i.media_type.startswith("image/")}
    found = []
    for reference in package.guide:
        if "cover" in reference.types:
            if reference.path in by_path:
                found.append(by_path[reference.path])
            elif reference.path in book:
                page = parse_page(book.read(reference.path), f"{reference.path} in {book.name}")
                for image in find_all(page.root, "img", "image"):
                    source = attribute(image, "src") or attribute(image, "href")
                    path, _ = resolve(reference.path, source, book.name)
                    if path in by_path:
                        found.append(by_path[path])
    return found
