"""The little of a book's CSS that decides what is read: what hides, stands alone, or slants."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import tinycss2  # type: ignore[import-untyped]
import tinycss2.ast  # type: ignore[import-untyped]

from generation.manuscript.markup import Element, local_name

_SIMPLE = re.compile(r"^([a-zA-Z][a-zA-Z0-9]*)?(?:\.([\w-]+)|#([\w-]+))?$")
_DISPLAYED_AS_BLOCK = frozenset({"block", "list-item", "table", "flex", "grid"})


@dataclass(frozen=True, slots=True)
class Look:
    """What the style says of an element; None where it says nothing."""

    hidden: bool | None = None
    block: bool | None = None
    italic: bool | None = None
    raised: bool | None = None

    def over(self, other: "Look") -> "Look":
        """Return this look, with `other`'s where this one says nothing."""
        return Look(
            other.hidden if self.hidden is None else self.hidden,
            other.block if self.block is None else self.block,
            other.italic if self.italic is None else self.italic,
            other.raised if self.raised is None else self.raised,
        )


NO_LOOK = Look()


@dataclass(slots=True)
class Stylesheet:
    """Rules for a plain class, identifier or element name (".x", "p.x", "#y", "p"); others are passed over.

    Rules inside @media and other blocks are passed over too: they are for some devices only.
    """

    _rules: dict[tuple[str, str], Look] = field(default_factory=dict)

    def add(self, css: str) -> None:
        """Add a style sheet's rules; later ones win."""
        for rule in tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True):
            if isinstance(rule, tinycss2.ast.QualifiedRule):
                look = _look(rule.content)
                if look != NO_LOOK:
                    for selector in tinycss2.serialize(rule.prelude).split(","):
                        self._add_rule(selector.strip(), look)

    def update(self, other: "Stylesheet") -> None:
        """Add another sheet's rules over this one's."""
        for key, look in other._rules.items():
            self._rules[key] = look.over(self._rules.get(key, NO_LOOK))

    def look(self, element: Element) -> Look:
        """Return what the book's style and the element's own style attribute say of an element."""
        name = local_name(element)
        look = self._rules.get((name, ""), NO_LOOK)
        for css_class in element.get("class", "").split():
            look = self._rules.get(("", f".{css_class}"), NO_LOOK).over(look)
            look = self._rules.get((name, f".{css_class}"), NO_LOOK).over(look)
        identifier = element.get("id")
        if identifier:
            look = self._rules.get(("", f"#{identifier}"), NO_LOOK).over(look)
        style = element.get("style")
        return _look(tinycss2.parse_component_value_list(style)).over(look) if style else look

    def _add_rule(self, selector: str, look: Look) -> None:
        hit = _SIMPLE.match(selector)
        if not hit or not selector:
            return
        name, css_class, identifier = hit[1] or "", hit[2], hit[3]
        key = f".{css_class}" if css_class else f"#{identifier}" if identifier else ""
        if identifier:
            name = ""
        self._rules[name.lower(), key] = look.over(self._rules.get((name.lower(), key), NO_LOOK))


def _look(content: Iterable[tinycss2.ast.Node]) -> Look:
    hidden = block = italic = raised = None
    for part in tinycss2.parse_declaration_list(content, skip_comments=True, skip_whitespace=True):
        if not isinstance(part, tinycss2.ast.Declaration):
            continue
        value = tinycss2.serialize(part.value).strip().lower()
        if part.lower_name == "display":
            hidden, block = value == "none", value in _DISPLAYED_AS_BLOCK
        elif part.lower_name == "visibility" and value in ("hidden", "collapse"):
            hidden = True
        elif part.lower_name == "font-style":
            italic = value in ("italic", "oblique")
        elif part.lower_name == "vertical-align":
            raised = value in ("super", "top", "text-top")
    return Look(hidden, block, italic, raised)
