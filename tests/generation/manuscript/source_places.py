"""Walks back from a place to the words in the source, by other code than the readers' own."""

import re
import zipfile
from functools import lru_cache
from pathlib import Path

from lxml import etree

from generation.manuscript import Block

_DROPPED = re.compile("[\u00ad\u200b\u2060\ufeff]")


@lru_cache(maxsize=2)
def _root(book: Path, document: str) -> etree._Element:
    with zipfile.ZipFile(book) as container:
        return etree.fromstring(container.read(document))


@lru_cache(maxsize=2)
def raw_element_text(book: Path, document: str, node: str) -> str:
    """Return the raw text of the element that EPUB CFI child steps name, from the XHTML itself."""
    element = _root(book, document)
    for step in node.strip("/").split("/"):
        children = [c for c in element if isinstance(c.tag, str)]
        element = children[int(step) // 2 - 1]
    return str(element.xpath("string()"))


def raw_lines_text(source: str, node: str) -> str:
    """Return a text source from a block's first line on."""
    return "\n".join(source.split("\n")[int(node) - 1 :])


def seen(raw: str) -> str:
    """Return raw text as a reader sees it: no invisible marks, every space a space."""
    return " ".join(_DROPPED.sub("", raw).split())


def words(block: Block) -> list[tuple[int, int]]:
    """Return the spans of a block's words."""
    return [hit.span() for hit in re.finditer(r"\S+", block.text)]
