"""XML and XHTML read safely: no entity is expanded; broken pages are mended as a browser would."""

import codecs
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree
from selectolax.lexbor import LexborHTMLParser, LexborNode

from generation.errors import HostileManuscript, ManuscriptError

MAX_DEPTH = 250
"""The deepest nesting of elements; real pages stay below 50."""

MAX_ELEMENTS = 500_000
"""The most elements in one page: ten times *War and Peace* in a single file."""

OPS = "{http://www.idpf.org/2007/ops}"
XML = "{http://www.w3.org/XML/1998/namespace}"

Element = etree._Element

_DECLARATION = re.compile(r"^\s*<\?xml\b[^>]*?\?>")
_DECLARED_ENCODING = re.compile(
    rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']"""
)
_META_ENCODING = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([A-Za-z0-9._-]{1,40})""", re.I
)
_BEFORE_DOCTYPE = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->", re.S)
_INTERNAL_SUBSET = re.compile(r"""<!DOCTYPE(?:[^>\["']|"[^"]*"|'[^']*')*\[""", re.I)
_NAMED_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_SELF_CLOSED = re.compile(r"<([A-Za-z][\w:-]*)((?:\s[^<>]*?)?)/>")
_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
})  # fmt: skip  # HTML Living Standard, 13.1.2
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_VALID_NAME = re.compile(r"^[A-Za-z_][\w.-]*$")
_TEXT_CODECS = frozenset({
    "utf-8", "ascii", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be", "utf-32-le",
    "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-7", "iso8859-9", "iso8859-15", "cp1250",
    "cp1251", "cp1252", "cp1253", "cp1254", "cp1257", "koi8-r", "mac-roman", "shift_jis", "euc_jp",
    "gbk", "gb2312", "gb18030", "big5", "euc_kr",
})  # fmt: skip
"""Encodings that are decoded; UTF-7 and other disguises are not among them."""


@dataclass(frozen=True, slots=True)
class Page:
    """A parsed page: its root element, and what was mended while parsing ("" for nothing)."""

    root: Element
    mended: str = ""


def parse_xml(data: bytes, where: str) -> Element:
    """Parse a package file (OPF, NCX, container.xml), mending slight damage.

    Raises
    ------
    HostileManuscript
        For declared entities or absurd nesting.
    ManuscriptError
        Where nothing can be made of it.
    """
    text, _ = decode(data)
    source = _prepare(text, where)
    try:
        root = etree.fromstring(source, _parser(recover=False))
    except etree.XMLSyntaxError as error:
        mended = _recovered(source)
        if mended is None:
            raise ManuscriptError(
                f"{where} is not XML ({error.msg}). Export the book again."
            ) from error
        root = mended
    _check_tree(root, where)
    return root


def parse_page(data: bytes, where: str) -> Page:
    """Parse an XHTML page; where it is not well-formed, parse it again as a browser parses HTML.

    Raises
    ------
    HostileManuscript
        For declared entities or absurd nesting.
    """
    text, odd = decode(data)
    source = _prepare(text, where)
    try:
        root = etree.fromstring(source, _parser(recover=False))
        mended = ""
        if local_name(root) != "html":
            root, mended = _parse_as_browser(text), "has no html element"
    except etree.XMLSyntaxError as error:
        root, mended = _parse_as_browser(text), f"is broken XHTML ({error.msg})"
    _check_tree(root, where)
    return Page(root, mended or odd)


def decode(data: bytes) -> tuple[str, str]:
    """Decode XML or HTML by byte order mark, declaration, else UTF-8, else Windows-1252.

    Returns
    -------
    tuple
        The text with line ends as newlines, and what was odd about it ("" for nothing).
    """
    for mark, codec in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return _newlines(data.decode(codec, "replace")), ""
    declared = _DECLARED_ENCODING.search(data[:400]) or _META_ENCODING.search(data[:2000])
    named = _codec(declared[1].decode("ascii")) if declared else ""
    for codec in (named, "utf-8"):
        if codec:
            try:
                return _newlines(data.decode(codec)), ""
            except UnicodeDecodeError:
                continue
    return _newlines(data.decode("cp1252", "replace")), "is not in its declared encoding"


def local_name(element: Element) -> str:
    """Return an element's name without namespace, in lower case."""
    tag = str(element.tag)
    return tag.rpartition("}")[2].lower()


def is_element(node: Element) -> bool:
    """Whether a child is an element (and no comment or processing instruction)."""
    return isinstance(node.tag, str)


def elements(parent: Element) -> Iterator[Element]:
    """Yield an element's child elements."""
    return (child for child in parent if is_element(child))


def find_all(root: Element, *names: str) -> Iterator[Element]:
    """Yield all descendants of these local names, in document order, whatever their namespace."""
    wanted = frozenset(names)
    return (e for e in root.iter() if is_element(e) and local_name(e) in wanted)


def attribute(element: Element, name: str) -> str:
    """Return an attribute by its local name, whatever its namespace ("" where missing)."""
    value = element.get(name)
    if value is not None:
        return str(value)
    for key, found in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(found)
    return ""


def semantics(element: Element) -> frozenset[str]:
    """Return the tokens of epub:type and role (DPUB-ARIA's "doc-" names without that prefix)."""
    declared = element.get(f"{OPS}type") or element.get("epub:type") or ""
    roles = [
        r.removeprefix("doc-") for r in element.get("role", "").split() if r.startswith("doc-")
    ]
    return frozenset(str(declared).lower().split()) | frozenset(roles)


def language(element: Element) -> str:
    """Return the language an element itself declares ("" for none)."""
    for key in (f"{XML}lang", "xml:lang", "lang"):
        value = element.get(key)
        if value is not None:
            return str(value).strip().replace("_", "-")
    return ""


def string_value(element: Element) -> str:
    """Return all descendant text nodes joined (XPath 1.0, 5.2: the string-value)."""
    return str(element.xpath("string()"))


def _codec(label: str) -> str:
    try:
        name = codecs.lookup(label).name
    except LookupError:
        return ""
    return name if name in _TEXT_CODECS else ""


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parser(recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, recover=recover, encoding="utf-8"
    )


def _recovered(source: bytes) -> Element | None:
    try:
        root: Element | None = etree.fromstring(source, _parser(recover=True))
    except etree.XMLSyntaxError:
        return None
    return root


def _prepare(text: str, where: str) -> bytes:
    """Refuse declared entities; write HTML's named ones as characters, for no DTD is ever loaded."""
    text = _DECLARATION.sub("", text, count=1)
    _refuse_entities(text, where)
    text = _NAMED_ENTITY.sub(_character, text)
    return _NOT_XML.sub("\ufffd", text).strip().encode()


def _refuse_entities(text: str, where: str) -> None:
    at = 0
    while hit := _BEFORE_DOCTYPE.match(text, at):
        at = hit.end()
    subset = _INTERNAL_SUBSET.match(text, at)
    if subset and "<!ENTITY" in text[subset.end() :].upper():
        raise HostileManuscript(
            f"{where} declares XML entities of its own, which can read other files or grow without "
            "end. Export the book again without them."
        )


def _character(hit: re.Match[str]) -> str:
    if hit[1] in _XML_ENTITIES:
        return hit[0]
    found = html.unescape(hit[0])
    return hit[0] if found == hit[0] else found.replace("&", "&amp;").replace("<", "&lt;")


def _check_tree(root: Element, where: str) -> None:
    stack = [(root, 1)]
    count = 0
    while stack:
        element, depth = stack.pop()
        count += 1
        if count > MAX_ELEMENTS:
            raise HostileManuscript(
                f"{where} has more than {MAX_ELEMENTS:,} elements, more than one page of a book."
            )
        if depth > MAX_DEPTH:
            raise HostileManuscript(
                f"{where} nests its elements more than {MAX_DEPTH} deep, as no real page does."
            )
        stack.extend((child, depth + 1) for child in element if is_element(child))


def _parse_as_browser(text: str) -> Element:
    """Parse by the HTML standard's algorithm (lexbor) and copy the tree into lxml elements."""
    text = _DECLARATION.sub("", text, count=1)
    text = _SELF_CLOSED.sub(_unclosed, text)
    tree = LexborHTMLParser(text)
    root = tree.root
    if root is None:
        return etree.fromstring(b"<html><head/><body/></html>")
    top = etree.Element("html")
    _copy_attributes(root, top)
    stack: list[tuple[LexborNode, Element, int]] = [(root, top, 1)]
    while stack:
        source, target, depth = stack.pop()
        last: Element | None = None
        child = source.child
        while child is not None:
            name = child.tag or ""
            if name == "-text":
                _append_text(target, last, child.text_content or "")
            elif not name.startswith("-") and not name.startswith("_"):
                last = etree.SubElement(target, name if _VALID_NAME.match(name) else "span")
                _copy_attributes(child, last)
                if depth <= MAX_DEPTH:
                    stack.append((child, last, depth + 1))
            child = child.next
    return top


def _unclosed(hit: re.Match[str]) -> str:
    """Write `<i/>` as `<i></i>`: HTML would leave it open, its author meant it closed."""
    return hit[0] if hit[1].lower() in _VOID else f"<{hit[1]}{hit[2]}></{hit[1]}>"


def _append_text(parent: Element, last: Element | None, text: str) -> None:
    text = _NOT_XML.sub("\ufffd", text)
    if last is None:
        parent.text = (parent.text or "") + text
    else:
        last.tail = (last.tail or "") + text


def _copy_attributes(source: LexborNode, target: Element) -> None:
    for name, value in source.attributes.items():
        key = {"epub:type": f"{OPS}type", "xml:lang": f"{XML}lang"}.get(name, name)
        if key is not name or _VALID_NAME.match(name):
            target.set(key, _NOT_XML.sub("\ufffd", value or ""))
