"""Footnotes of an EPUB: which links are note marks, and which elements are the notes they lead to."""

import re
from collections.abc import Mapping

from generation.manuscript.container import resolve
from generation.manuscript.markup import (
    Element,
    elements,
    find_all,
    local_name,
    semantics,
    string_value,
)
from generation.manuscript.stylesheet import Stylesheet

MARK_TYPES = frozenset({"noteref", "annoref", "backlink", "referrer"})
"""Types of links that are marks, not words."""

NOTE_TYPES = frozenset(
    {"footnote", "footnotes", "endnote", "endnotes", "rearnote", "rearnotes", "annotation"}
)
"""Types of elements that are notes."""

MAX_NOTE_WORDS = 3_000
"""A link's target with more words than this is no note."""

_MARK = re.compile(
    r"[\[({]?\s*(?:\d{1,4}|[ivxlc]{1,6}|[a-zA-Z]|[*†‡§¶#‖]{1,4}|↩|↑|\^)\s*[\])}]?[.︎]?", re.I
)
_BRACKETED = re.compile(r"\[.+\]|\(.+\)|[*†‡§¶‖↩↑^]+.*")
_NOTE_NAME = re.compile(
    r"(?:^|[^a-z])(?:foot|end|rear)?note(?:s|ref|anchor)?(?![a-z])|(?:^|[^a-z])(?:fn|ftn|en|rfn)(?:ref)?[-_.]?\d|footnote|endnote|noteref|fnref",
    re.I,
)
_INLINE = frozenset({
    "a", "abbr", "b", "cite", "em", "i", "q", "small", "span", "strong", "sub", "sup",
})  # fmt: skip
_TOO_WIDE = frozenset({
    "html", "body", "article", "main", "section", "nav", "table",
})  # fmt: skip
_SUPERSCRIPT_AFTER = re.compile(r"[.,;:!?”’\"')\]]$|[^\W\d]{3,}$")


def is_mark(link: Element, style: Stylesheet) -> bool:
    """Whether a link (an `a` element) is a footnote mark or the way back from a note."""
    if semantics(link) & MARK_TYPES:
        return True
    text = string_value(link).strip().strip("\ufe0e\ufe0f\u2060")
    if not link.get("href") or not _MARK.fullmatch(text):
        return False
    if _BRACKETED.fullmatch(text) or is_raised(link, style):
        return True
    names = " ".join(
        (link.get("class", ""), link.get("id", ""), link.get("href", "").partition("#")[2])
    )
    return bool(_NOTE_NAME.search(names))


def is_raised(link: Element, style: Stylesheet) -> bool:
    """Whether a link is set as superscript: by `sup` around or inside it, or by style."""
    parent = link.getparent()
    around = parent is not None and (local_name(parent) == "sup" or style.look(parent).raised)
    inside = [e for e in link if isinstance(e.tag, str)]
    within = any(local_name(e) == "sup" or style.look(e).raised for e in inside)
    return bool(around or within or style.look(link).raised)


def is_bare_mark(sup: Element, before: str) -> bool:
    """Whether a superscript number without a link is a note's mark rather than an exponent.

    Parameters
    ----------
    sup
        The `sup` element.
    before
        The text in front of it: a note follows a word or a stop, an exponent a figure or a unit.
    """
    text = string_value(sup).strip()
    return bool(re.fullmatch(r"\d{1,3}|[*†‡§]{1,3}", text) and _SUPERSCRIPT_AFTER.search(before))


def note_bodies(
    pages: Mapping[str, Element], style: Mapping[str, Stylesheet], name: str
) -> set[Element]:
    """Find the elements that note marks lead to.

    A mark stands before its note in reading order, so a link that leads backwards (from a note to its
    mark) makes no note of what it leads to.

    Parameters
    ----------
    pages
        Root element of each page by path, in reading order.
    style
        Style of each page.
    name
        The manuscript's file name, for errors.
    """
    order = {path: i for i, path in enumerate(pages)}
    bodies: set[Element] = set()
    identified: dict[str, dict[str, tuple[int, Element]]] = {}
    for path, root in pages.items():
        for at, element in enumerate(root.iter()):
            if isinstance(element.tag, str) and element.tag.rpartition("}")[2] == "a":
                if not is_mark(element, style[path]):
                    continue
                target, fragment = resolve(path, element.get("href", ""), name)
                if target not in order or not fragment or order[target] < order[path]:
                    continue
                if target not in identified:
                    identified[target] = _identified(pages[target])
                found = identified[target].get(fragment)
                if found and (target != path or found[0] > at):
                    body = _body_of(found[1])
                    if body is not None and element not in set(body.iter("{*}a")):
                        bodies.add(body)
    return bodies


def _identified(root: Element) -> dict[str, tuple[int, Element]]:
    found: dict[str, tuple[int, Element]] = {}
    for at, element in enumerate(root.iter()):
        if isinstance(element.tag, str):
            for key in (element.get("id"), element.get("name")):
                if key:
                    found.setdefault(key, (at, element))
    return found


def _body_of(target: Element) -> Element | None:
    """Return the block that is the note: the target itself, or the block around an inline anchor."""
    body: Element | None = target
    while body is not None and local_name(body) in _INLINE:
        body = body.getparent()
    if body is None or local_name(body) in _TOO_WIDE:
        return None
    parent = body.getparent()
    in_item = parent is not None and local_name(body) == "p" and local_name(parent) == "li"
    if parent is not None and in_item and next(elements(parent)) is body:
        body = parent
    if next(find_all(body, "h1", "h2", "h3"), None) is not None:
        return None
    return body if len(string_value(body).split()) <= MAX_NOTE_WORDS else None
