"""EPUB 2 and 3: the package's pages, cut and joined into chapters by the book's own table of contents."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from generation.errors import EmptyManuscript, HostileManuscript
from generation.manuscript.book import Book, ChapterKind
from generation.manuscript.chapters import (
    Passage,
    Section,
    divide_by_headings,
    letters,
    make_chapters,
    own_title,
)
from generation.manuscript.container import Container, resolve
from generation.manuscript.footnotes import note_bodies
from generation.manuscript.markup import (
    Element,
    attribute,
    find_all,
    language,
    local_name,
    parse_page,
    string_value,
)
from generation.manuscript.matter import (
    BOILERPLATE_TYPES,
    PART_TYPES,
    is_chapter_title,
    is_part_title,
    kind_by_title,
    kind_by_types,
)
from generation.manuscript.navigation import Entry, read_navigation
from generation.manuscript.package import Package, Reference, normal_language, read_package
from generation.manuscript.stylesheet import Stylesheet
from generation.manuscript.xhtml import MAX_CHARACTERS, Content, PageReader

DEFAULT_LANGUAGE = "en"
"""The language of a book that names none."""

CONTENTS_LINK_SHARE = 0.7
"""A page with at least this share of its words in links is a table of contents."""

_MIN_CONTENTS_LINKS_WORDS = 8
_TITLE_PAGE_WORDS = 60


def read_epub(path: Path) -> Book:
    """Read an EPUB 2 or 3.

    Parameters
    ----------
    path
        The file; its name is used in errors.

    Raises
    ------
    ManuscriptError
        One of its kinds, for a file that is damaged, encrypted, hostile, or without text.
    """
    with Container(path) as container:
        package = read_package(container)
        entries = read_navigation(container, package)
        contents = _read_pages(container, package)
    if not any(c.passages for c in contents):
        raise EmptyManuscript(
            f"{path.name} has no text to read. If its pages are pictures, submit a text edition."
        )
    sections = _divide(contents, entries, package.title)
    _judge(sections, package)
    chapters = make_chapters(sections)
    return Book(
        title=package.title or path.stem,
        authors=package.authors,
        language=package.language,
        chapters=chapters,
        identifier=package.identifier,
        publisher=package.publisher,
        published=package.published,
        description=package.description,
        rights=package.rights,
        cover=package.cover,
        notes=tuple(dict.fromkeys(package.notes)),
    )


# Pages.


def _read_pages(container: Container, package: Package) -> list[Content]:
    pages: dict[str, Element] = {}
    styles: dict[str, Stylesheet] = {}
    known: dict[str, Stylesheet] = {}
    for path in package.spine:
        page = parse_page(container.read(path), f"{path} in {container.name}")
        if page.mended:
            package.notes.append(f"{path} {page.mended}; read as a browser would read it.")
        pages[path] = page.root
        styles[path] = _style(container, path, page.root, known)
    if not package.language:
        package.language = _declared_language(pages) or DEFAULT_LANGUAGE
        package.notes.append(f"The book names no language; read as {package.language}.")
    notes = note_bodies(pages, styles, container.name)
    contents = []
    total = 0
    for path, root in pages.items():
        content = PageReader(path, package.language, styles[path], notes).read(root)
        package.notes.extend(content.notes)
        contents.append(content)
        total += len(string_value(root))
        if total > MAX_CHARACTERS:
            raise HostileManuscript(
                f"{container.name} has more than {MAX_CHARACTERS:,} characters of text. "
                "Submit its volumes one by one."
            )
    return contents


def _style(
    container: Container, path: str, root: Element, known: dict[str, Stylesheet]
) -> Stylesheet:
    """Return a page's style; `known` keeps the parsed sheets that pages share."""
    style = Stylesheet()
    for element in find_all(root, "link", "style"):
        href = element.get("href")
        relation = attribute(element, "rel").lower().split()
        if href and "stylesheet" in relation and "alternate" not in relation:
            sheet, _ = resolve(path, href, container.name)
            found = container.find(sheet) if sheet else None
            if found and found not in known:
                known[found] = Stylesheet()
                known[found].add(container.read(found).decode("utf-8", "replace"))
            style.update(known.get(found or "", Stylesheet()))
        elif element.text and local_name(element) == "style":
            style.add(element.text)
    return style


def _declared_language(pages: dict[str, Element]) -> str:
    declared = [normal_language(language(root)) for root in pages.values() if language(root)]
    return max(set(declared), key=declared.count) if declared else ""


# Cutting pages into sections at the entries of the table of contents.


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a chapter begins: page number, raw position in it, and the entry that says so."""

    page: int
    position: int
    entry: Entry
    holds_chapters: bool
    types: frozenset[str]


def _divide(contents: list[Content], entries: tuple[Entry, ...], book_title: str) -> list[Section]:
    cuts = _cuts(contents, entries)
    if not cuts:
        return _divide_without_navigation(contents, book_title)
    sections: list[Section] = []
    by_page: dict[int, list[_Cut]] = {}
    for cut in cuts:
        by_page.setdefault(cut.page, []).append(cut)
    for number, content in enumerate(contents):
        _divide_page(content, by_page.get(number, []), sections)
    sections = [s for section in sections for s in _by_division(section) if s.passages]
    _move_headings(sections, book_title)
    return [p for p in sections if p.passages]


def _divide_page(content: Content, cuts: list[_Cut], sections: list[Section]) -> None:
    first = cuts[0].position if cuts else None
    before = [p for p in content.passages if first is None or p.position < first]
    if before:
        if not sections or _begins_anew(before, content, sections[-1], bool(cuts)):
            sections.append(Section(own_title(before), types=before[0].types))
        sections[-1].passages.extend(before)
        sections[-1].link_share = _link_share(content)
    for i, cut in enumerate(cuts):
        end = cuts[i + 1].position if i + 1 < len(cuts) else None
        inside = [
            p
            for p in content.passages
            if p.position >= cut.position and (end is None or p.position < end)
        ]
        types = inside[0].types if inside else cut.types
        sections.append(
            Section(
                cut.entry.title or own_title(inside),
                inside,
                types,
                listed=True,
                holds_chapters=cut.holds_chapters,
                link_share=_link_share(content),
            )
        )


def _by_division(section: Section) -> Iterator[Section]:
    """Yield a section cut where the page itself goes from front matter to body, or body to back matter."""
    rest = section
    for before, passage in pairwise(section.passages):
        kinds = kind_by_types(before.types), kind_by_types(passage.types)
        if None not in kinds and kinds[0] is not kinds[1]:
            at = rest.passages.index(passage)
            later = rest.passages[at:]
            yield replace(rest, passages=rest.passages[:at])
            rest = Section(own_title(later), later, passage.types)
    yield rest


def _begins_anew(passages: list[Passage], content: Content, last: Section, cut_later: bool) -> bool:
    """Whether text that no entry points at begins a chapter of its own rather than going on."""
    if not last.passages:
        return False
    kind, last_kind = kind_by_types(passages[0].types), kind_by_types(last.types)
    if kind is not None and last_kind is not None and kind is not last_kind:
        return True
    if (passages[0].types ^ last.types) & (BOILERPLATE_TYPES | PART_TYPES):
        return True
    if _link_share(content) >= CONTENTS_LINK_SHARE:
        return True
    level = passages[0].level
    last_level = next((p.level for p in last.passages if p.level), 0)
    if cut_later and level == 0:
        return False
    return 0 < level <= (last_level or 6)


def _link_share(content: Content) -> float:
    enough = content.link_words >= _MIN_CONTENTS_LINKS_WORDS
    return content.link_words / max(1, content.words) if enough else 0.0


def _cuts(contents: list[Content], entries: tuple[Entry, ...]) -> list[_Cut]:
    pages = {content.path: i for i, content in enumerate(contents)}
    chosen = list(_chosen(entries, contents, pages))
    cuts: dict[tuple[int, int], _Cut] = {}
    for entry, holds_chapters in chosen:
        if entry.path not in pages:
            continue
        page = pages[entry.path]
        content = contents[page]
        position = content.anchors.get(entry.fragment, 0) if entry.fragment else 0
        types = content.types.get(entry.fragment, frozenset())
        position = _snapped(content, position)
        key = (page, position)
        if key not in cuts or cuts[key].holds_chapters:
            cuts[key] = _Cut(page, position, entry, holds_chapters, types)
    return [cuts[key] for key in sorted(cuts)]


def _snapped(content: Content, position: int) -> int:
    """Return the position of the first passage at or after an anchor, so that equal cuts are one."""
    later = [p.position for p in content.passages if p.position >= position]
    return min(later, default=position)


def _chosen(
    entries: tuple[Entry, ...], contents: list[Content], pages: dict[str, int]
) -> Iterator[tuple[Entry, bool]]:
    """Yield the entries that begin chapters, and whether chapters stand below each.

    An entry's children in the same page are its sections ("I", "II" within a story), unless the entry is
    a section ("Book One"), its children count as chapters, or it is the only entry with text.
    """
    for entry in entries:
        if entry.children and _children_are_chapters(entry, entries, contents, pages):
            if entry.path:
                yield entry, True
            yield from _chosen(entry.children, contents, pages)
        elif entry.path:
            yield entry, False
        else:
            yield from _chosen(entry.children, contents, pages)


def _children_are_chapters(
    entry: Entry, siblings: tuple[Entry, ...], contents: list[Content], pages: dict[str, int]
) -> bool:
    below = [e for child in entry.children for e in child.flat() if e.path]
    if not entry.path or is_part_title(entry.title) or _declared_part(entry, contents, pages):
        return True
    if is_chapter_title(entry.title):
        return False
    if any(e.path != entry.path for e in below):
        return True
    if any(re.match(r"(chapter|letter|stave|canto)\b", c.title, re.I) for c in entry.children):
        return True
    rivals = [
        e
        for e in siblings
        if e is not entry and e.path and kind_by_title(e.title, True) in (None, ChapterKind.BODY)
    ]
    return not rivals


def _declared_part(entry: Entry, contents: list[Content], pages: dict[str, int]) -> bool:
    if entry.path not in pages:
        return False
    content = contents[pages[entry.path]]
    if entry.fragment:
        return bool(content.types.get(entry.fragment, frozenset()) & PART_TYPES)
    first = content.passages[0].types if content.passages else frozenset()
    return bool(first & PART_TYPES) and "chapter" not in first


def _divide_without_navigation(contents: list[Content], book_title: str) -> list[Section]:
    """Cut at pages that begin with a heading, or within a single page at its chapters' headings."""
    filled = [c for c in contents if c.passages]
    if len(filled) == 1:
        return divide_by_headings(filled[0].passages, book_title)
    sections: list[Section] = []
    for content in filled:
        first = content.passages[0]
        if (
            not sections
            or first.level
            or _begins_anew(content.passages, content, sections[-1], False)
        ):
            sections.append(Section(own_title(content.passages), types=first.types))
            sections[-1].link_share = _link_share(content)
        sections[-1].passages.extend(content.passages)
    return sections


def _move_headings(sections: list[Section], book_title: str) -> None:
    """Give headings in front of an entry's anchor to its chapter: the anchor stood on the last of several.

    These are headings at the very end of the chapter before, or in front of the first chapter of a page.
    """
    for section, following in pairwise(sections):
        if not following.passages or not section.passages:
            continue
        if section.only_headings and (section.listed or _says_only(section, book_title)):
            continue
        document = following.passages[0].block.document
        while section.passages and section.passages[-1].level:
            if section.passages[-1].block.document != document:
                break
            following.passages.insert(0, section.passages.pop())


def _says_only(section: Section, book_title: str) -> bool:
    return letters(" ".join(p.block.text for p in section.passages)) == letters(book_title)


# Judging what is front matter, body and back matter.


def _judge(sections: list[Section], package: Package) -> None:
    start = _body_start(sections, package.guide)
    seen_body = False
    for i, section in enumerate(sections):
        section.kind = _kind(section, package, seen_body, before_start=i < start)
        seen_body = seen_body or section.kind is ChapterKind.BODY
    if not seen_body:
        _promote(sections, package)


def _kind(section: Section, package: Package, seen_body: bool, before_start: bool) -> ChapterKind:
    declared = kind_by_types(section.types)
    if declared is not None and (
        declared is not ChapterKind.BODY or section.types & {"bodymatter"}
    ):
        return declared
    landmark = kind_by_types(_landmark(section, package.guide) - {"text", "bodymatter"})
    told = kind_by_title(section.title, not seen_body)
    for kind in (landmark, declared, told):
        if kind is not None:
            return kind
    if section.link_share >= CONTENTS_LINK_SHARE:
        return ChapterKind.FRONT
    if not seen_body and (before_start or _is_title_page(section, package)):
        return ChapterKind.FRONT
    return ChapterKind.BODY


def _landmark(section: Section, guide: list[Reference]) -> frozenset[str]:
    pages = {p.block.document for p in section.passages[:1]}
    return frozenset().union(*(r.types for r in guide if r.path in pages and not r.fragment))


def _body_start(sections: list[Section], guide: list[Reference]) -> int:
    """Return the number of sections in front of the landmark where the body begins.

    A landmark in the second half of the words is a mistake; then 0.
    """
    paths = {r.path for r in guide if r.types & {"bodymatter", "text"}}
    total = sum(p.words for p in sections)
    before = 0
    for i, section in enumerate(sections):
        if any(p.block.document in paths for p in section.passages[:1]):
            return i if before * 2 <= total else 0
        before += section.words
    return 0


def _is_title_page(section: Section, package: Package) -> bool:
    """Whether a short section in front says little but the book's title and author."""
    if section.words > _TITLE_PAGE_WORDS or not package.title:
        return False
    said = letters(" ".join(p.block.text for p in section.passages))
    return letters(package.title) in said and not is_chapter_title(section.title)


def _promote(sections: list[Section], package: Package) -> None:
    """Read what is no boilerplate where the book declares no body at all."""
    for section in sections:
        boilerplate = section.types & BOILERPLATE_TYPES or section.link_share >= CONTENTS_LINK_SHARE
        told = kind_by_title(section.title, True)
        if not boilerplate and told in (None, ChapterKind.BODY):
            section.kind = ChapterKind.BODY
    if not any(p.kind is ChapterKind.BODY for p in sections):
        longest = max(sections, key=lambda p: p.words)
        longest.kind = ChapterKind.BODY
    package.notes.append("The book marks no text as its body; what is not boilerplate is read.")
