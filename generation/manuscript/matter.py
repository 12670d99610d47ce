"""Front matter, body or back matter: judged by declared semantics, then landmarks, then titles."""

import re

from generation.manuscript.book import ChapterKind

FRONT_TYPES = frozenset({
    "cover", "titlepage", "halftitlepage", "halftitle", "title-page", "seriespage", "series-page",
    "frontispiece", "imprint", "imprimatur", "copyright-page", "copyright", "toc", "toc-brief",
    "landmarks", "page-list", "loi", "lot", "loa", "lov", "dedication", "foreword", "preface",
    "preamble", "acknowledgments", "acknowledgements", "contributors", "other-credits",
    "errata", "revision-history", "epigraph", "abstract",
})  # fmt: skip
"""EPUB 3 Structural Semantics and EPUB 2 guide types of front matter."""

BACK_TYPES = frozenset({
    "afterword", "appendix", "colophon", "uncopyright", "credits", "endnotes", "footnotes",
    "rearnotes", "notes", "note", "bibliography", "glossary", "index", "index-headnotes",
    "learning-resources", "keywords", "ad", "other.ad", "answers", "qna",
})  # fmt: skip
"""EPUB 3 Structural Semantics and EPUB 2 guide types of back matter."""

BODY_TYPES = frozenset({
    "bodymatter", "chapter", "part", "volume", "division", "prologue", "epilogue", "conclusion",
    "introduction", "se:short-story", "se:novel", "se:novella", "z3998:fiction", "text",
})  # fmt: skip
"""Types of what is read by default, where no division (frontmatter, backmatter) says otherwise."""

BOILERPLATE_TYPES = frozenset({
    "cover", "titlepage", "halftitlepage", "halftitle", "title-page", "imprint", "imprimatur",
    "copyright-page", "copyright", "toc", "landmarks", "page-list", "loi", "lot", "loa", "lov",
    "colophon", "uncopyright", "endnotes", "footnotes", "rearnotes", "notes", "index", "ad",
    "other.ad", "seriespage", "series-page",
})  # fmt: skip
"""What is never a story, wherever it stands."""

_CHAPTER_TYPES = frozenset({"chapter", "prologue", "epilogue", "se:short-story"})

PART_TYPES = frozenset({"part", "volume", "division"})

_FRONT_TITLE = re.compile(
    r"(the )?((half[- ]?)?title[- ]?page|cover( page| image)?|copyright( page| notice)?|"
    r"(table of )?contents|list of (illustrations|figures|maps|tables|plates)|illustrations|maps?|"
    r"dedication|epigraph|foreword|(author['’]s |editor['’]s |translator['’]s )?preface.*|"
    r"(author['’]s |publisher['’]s |editor['’]s |translator['’]s |transcriber['’]s )notes?|"
    r"(advance )?praise for .*|also by .*|other (books|titles|works) by .*|by the same author|"
    r"books by .*|imprint|halftitle|frontispiece|dramatis personae|series page)",
    re.I,
)
_BACK_TITLE = re.compile(
    r"(about the (author|publisher|translator|editor|type|typeface)s?.*|afterword|appendix( .*)?|"
    r"appendices|(end|foot)?notes?|bibliography|(select |selected )bibliography|glossary( .*)?|"
    r"index|colophon|uncopyright|credits|references|sources|works cited|further reading|"
    r"(reading group |reader['’]s |book club )(guide|questions).*|discussion questions|"
    r"questions for discussion|newsletter.*|(an )?(excerpt|extract) from .*|"
    r"(the )?(full )?project gutenberg.*licen[cs]e.*|back cover|advertisements?|errata)",
    re.I,
)
_EITHER_TITLE = re.compile(r"(with )?acknowledge?ments?|thanks|permissions", re.I)
_BODY_TITLE = re.compile(
    r"(chapter|book|part|letter|act|canto|stave|volume|prologue|epilogue|introduction|conclusion|interlude)\b.*",
    re.I,
)

ROMAN = r"(?=[MDCLXVI])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
"""A Roman numeral in capitals."""

_NUMBER_WORDS = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "first", "second",
    "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth", "twentieth", "last",
]  # fmt: skip
NUMBER = (
    rf"(?:\d{{1,3}}|{ROMAN}|(?:the\s+)?(?:{'|'.join(_NUMBER_WORDS)})"
    rf"(?:[\s-](?:{'|'.join(_NUMBER_WORDS[:9] + _NUMBER_WORDS[27:36])}))?)"
)
"""A chapter's number in figures, Roman numerals or words; to be matched ignoring case."""

_PART_TITLE = re.compile(rf"(?:part|book|volume|vol\.?|section|act)\s+(?:the\s+)?{NUMBER}\b", re.I)
_CHAPTER_TITLE = re.compile(
    rf"(?:chapter|chap\.?|letter|stave|canto|scene|adventure|story|tale)\s+{NUMBER}\b|"
    rf"{NUMBER}(?:\s*[.:)—–-]\s*\S|\.?\s*$)|prologue\b|epilogue\b",
    re.I,
)


def is_part_title(title: str) -> bool:
    """Whether a title names a part that holds chapters ("Part One", "BOOK II: The Return")."""
    return bool(_PART_TITLE.match(title.strip()))


def is_chapter_title(title: str) -> bool:
    """Whether a title counts a chapter ("Chapter 1", "IV: The Dance", "12")."""
    return bool(_CHAPTER_TITLE.match(title.strip()))


def kind_by_types(types: frozenset[str]) -> ChapterKind | None:
    """Return the kind that semantic types declare; the division outranks the kind of section."""
    if "frontmatter" in types:
        return ChapterKind.FRONT
    if "backmatter" in types:
        return ChapterKind.BACK
    if types & _CHAPTER_TYPES:
        return ChapterKind.BODY  # whatever stands in it: an epigraph, a small table of contents
    if types & BOILERPLATE_TYPES:
        return ChapterKind.BACK if types & BACK_TYPES else ChapterKind.FRONT
    if "bodymatter" in types:
        return ChapterKind.BODY
    if types & FRONT_TYPES:
        return ChapterKind.FRONT
    if types & BACK_TYPES:
        return ChapterKind.BACK
    return ChapterKind.BODY if types & BODY_TYPES else None


def kind_by_title(title: str, before_body: bool) -> ChapterKind | None:
    """Return the kind a title tells; None where it tells nothing.

    Parameters
    ----------
    title
        The chapter's title.
    before_body
        Whether no body chapter came before; it decides for acknowledgments and the like.
    """
    plain = title.strip().strip(".:—– ")
    if _FRONT_TITLE.fullmatch(plain):
        return ChapterKind.FRONT if before_body or "note" not in plain.lower() else ChapterKind.BACK
    if _BACK_TITLE.fullmatch(plain):
        return ChapterKind.BACK
    if _EITHER_TITLE.fullmatch(plain):
        return ChapterKind.FRONT if before_body else ChapterKind.BACK
    return ChapterKind.BODY if _BODY_TITLE.match(plain) or is_chapter_title(plain) else None
