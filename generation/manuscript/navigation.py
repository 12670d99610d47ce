"""An EPUB's table of contents: EPUB 3's nav and EPUB 2's NCX, nested, as one tree of entries."""

from collections.abc import Iterator
from dataclasses import dataclass

from generation.errors import ManuscriptError
from generation.manuscript.container import Container, resolve
from generation.manuscript.markup import (
    Element,
    attribute,
    elements,
    find_all,
    local_name,
    parse_page,
    parse_xml,
    semantics,
    string_value,
)
from generation.manuscript.package import Package, Reference, plain

_RANKS = frozenset({"ol", "ul"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the contents; `path` is "" for a label without a link."""

    title: str
    path: str
    fragment: str
    children: tuple["Entry", ...] = ()

    def flat(self) -> Iterator["Entry"]:
        """Yield this entry and all below it, in order."""
        yield self
        for child in self.children:
            yield from child.flat()


def read_navigation(book: Container, package: Package) -> tuple[Entry, ...]:
    """Return the table of contents, empty where the book has none that can be read."""
    if package.navigation in book:
        root = parse_page(
            book.read(package.navigation), f"{package.navigation} in {book.name}"
        ).root
        navs = list(find_all(root, "nav"))
        contents = [nav for nav in navs if "toc" in semantics(nav)] or navs[:1]
        for nav in contents:
            package.guide.extend(_landmarks(book, package, navs))
            entries = _nav_entries(nav, package.navigation, book)
            if entries:
                return entries
    if package.ncx in book:
        try:
            root = parse_xml(book.read(package.ncx), f"{package.ncx} in {book.name}")
        except ManuscriptError as error:
            if type(error) is not ManuscriptError:
                raise
            package.notes.append(f"The table of contents cannot be read: {error}")
            return ()
        nav_map = next(find_all(root, "navmap"), None)
        if nav_map is not None:
            return _ncx_entries(nav_map, package.ncx, book)
    return ()


def _landmarks(book: Container, package: Package, navs: list[Element]) -> Iterator[Reference]:
    for nav in navs:
        if "landmarks" in semantics(nav):
            for link in find_all(nav, "a"):
                path, fragment = resolve(package.navigation, link.get("href", ""), book.name)
                if path and semantics(link):
                    yield Reference(book.find(path) or path, fragment, semantics(link))


def _nav_entries(parent: Element, base: str, book: Container) -> tuple[Entry, ...]:
    ranks = [e for e in elements(parent) if local_name(e) in _RANKS]
    if not ranks:
        ranks = list(find_all(parent, "ol"))[:1]
    return tuple(
        entry
        for rank in ranks
        for row in elements(rank)
        if local_name(row) == "li"
        for entry in _nav_entry(row, base, book)
    )


def _nav_entry(row: Element, base: str, book: Container) -> Iterator[Entry]:
    label = next((e for e in elements(row) if local_name(e) not in _RANKS), None)
    has_rank = any(local_name(e) in _RANKS for e in elements(row))
    children = _nav_entries(row, base, book) if has_rank else ()
    if label is None:
        yield from children
        return
    link = label if local_name(label) == "a" else next(find_all(label, "a"), None)
    path, fragment = "", ""
    if link is not None:
        path, fragment = resolve(base, link.get("href", ""), book.name)
    yield Entry(plain(string_value(label)), book.find(path) or path, fragment, children)


def _ncx_entries(parent: Element, base: str, book: Container) -> tuple[Entry, ...]:
    entries = []
    for point in elements(parent):
        if local_name(point) != "navpoint":
            continue
        label = next((e for e in elements(point) if local_name(e) == "navlabel"), None)
        content = next((e for e in elements(point) if local_name(e) == "content"), None)
        source = "" if content is None else attribute(content, "src")
        path, fragment = resolve(base, source, book.name) if source else ("", "")
        title = "" if label is None else plain(string_value(label))
        entries.append(
            Entry(title, book.find(path) or path, fragment, _ncx_entries(point, base, book))
        )
    return tuple(entries)
