"""Abbreviations that are read as words: "etc.", "i.e.", "No. 5", "pp. 3-5", "vs.", "inst.", "&c."."""

import re

from generation.script.english.numbers import cardinal, whole
from generation.script.english.rules import DIGITS, Rule, Spoken, after, piece, rule, word_set

_ANYWHERE = {
    "etc.": "et cetera", "&c.": "et cetera", "i.e.": "that is", "i. e.": "that is",
    "e.g.": "for example", "e. g.": "for example", "viz.": "namely", "cf.": "compare", "vs.": "versus",
    "approx.": "approximately", "dept.": "department", "Dept.": "Department", "govt.": "government",
    "est.": "established", "inst.": "instant", "ult.": "ultimo", "prox.": "proximo", "et al.": "et al",
    "ibid.": "ibid", "Co.": "Company", "Ltd.": "Limited", "Inc.": "Incorporated",
    "Corp.": "Corporation", "Assn.": "Association", "Univ.": "University", "N.B.": "note well",
    "anon.": "anonymous", "incl.": "including", "max.": "maximum", "misc.": "miscellaneous",
    "tel.": "telephone", "Tel.": "Telephone", "cont.": "continued", "Xmas": "Christmas", "P.S.": "P S",
    "op. cit.": "op cit", "ca.": "circa", "memo.": "memo", "recd.": "received",
    "Mass.": "Massachusetts", "Conn.": "Connecticut", "Penn.": "Pennsylvania", "Calif.": "California",
    "Fla.": "Florida", "Tenn.": "Tennessee", "Wis.": "Wisconsin", "Okla.": "Oklahoma",
    "Ill.": "Illinois", "Minn.": "Minnesota", "Va.": "Virginia", "Cal.": "California", "Esq.": "Esquire",
}  # fmt: skip
_NEVER_LAST = word_set("i.e. e.g. viz. cf. vs. approx. N.B. est. ca. incl. max. tel. Tel.") | {
    "i. e.",
    "e. g.",
}
_NUMBERED = {
    "No.": "Number", "no.": "number", "Nos.": "Numbers", "nos.": "numbers", "№": "number", "p.": "page",
    "pp.": "pages", "P.": "page", "vol.": "volume", "Vol.": "Volume", "vols.": "volumes",
    "ch.": "chapter", "Ch.": "Chapter", "chap.": "chapter", "Chap.": "Chapter", "CHAP.": "Chapter",
    "fig.": "figure", "Fig.": "Figure", "figs.": "figures", "sec.": "section", "Sec.": "Section",
    "art.": "article", "Art.": "Article", "c.": "circa", "ca.": "circa", "l.": "line", "ll.": "lines",
    "v.": "verse", "vv.": "verses", "Pt.": "Part", "pt.": "part", "bk.": "book", "Bk.": "Book",
    "Op.": "Opus", "op.": "opus", "ed.": "edition", "§": "section", "Rte.": "Route", "ver.": "version",
}  # fmt: skip
_WEEKDAYS = {
    "Mon.": "Monday", "Tue.": "Tuesday", "Tues.": "Tuesday", "Wed.": "Wednesday", "Thu.": "Thursday",
    "Thurs.": "Thursday", "Thur.": "Thursday", "Fri.": "Friday", "Sat.": "Saturday", "Sun.": "Sunday",
}  # fmt: skip


def _anywhere(match: re.Match[str]) -> Spoken:
    return _ANYWHERE[match.group()]


def _numbered(match: re.Match[str]) -> Spoken:
    pieces = [piece(match, "short", _NUMBERED[match["short"]])]
    if match["first"]:
        pieces.append(piece(match, "first", cardinal(whole(match["first"]))))
    if match["last"]:
        pieces.append(piece(match, "rest", f"to {cardinal(whole(match['last']))}"))
    return pieces


def _weekday(match: re.Match[str]) -> Spoken:
    sentence_end = match.group() == "Sun." and re.match(r"\s+[A-Z][a-z]{3,}\b", after(match))
    return None if sentence_end else _WEEKDAYS[match.group()]


def _versus(match: re.Match[str]) -> Spoken:
    return "versus"


def _pattern(forms: dict[str, str]) -> str:
    ordered = sorted(forms, key=len, reverse=True)
    return (
        "(?:"
        + "|".join(re.escape(f).replace(r"\ ", "[ ]").replace("#", r"\#") for f in ordered)
        + ")"
    )


_LAST = {k: v for k, v in _ANYWHERE.items() if k not in _NEVER_LAST}
_INNER = {k: v for k, v in _ANYWHERE.items() if k in _NEVER_LAST}
RULES: tuple[Rule, ...] = (
    rule(
        rf"(?<![\w.])(?P<short>{_pattern(_NUMBERED)})[ ]?(?P<first>\d[\d,]*)(?![\w/:]|[.,]\d)"
        r"(?P<rest>\s?[-–]\s?(?P<last>\d[\d,]*))?",
        _numbered,
    ),
    rule(
        rf"(?<![\w.])(?P<short>{_pattern(_NUMBERED)})(?=[ ]\d)(?P<first>(?!))?(?P<last>(?!))?",
        _numbered,
        DIGITS,
    ),
    rule(rf"(?<![\w.]){_pattern(_INNER)}(?!\w)", _anywhere, "."),
    rule(rf"(?<![\w.]){_pattern(_LAST)}(?!\w)", _anywhere, ".X", may_end=True),
    rule(rf"(?<![\w.]){_pattern(_WEEKDAYS)}(?=,?[ ](?:\d|[A-Z][a-z]{{2}})|$)", _weekday, "."),
    rule(r"(?<![\w.])(?:Tues?|Wed|Thurs?)\.(?=[ ,;)])", _weekday, ".", may_end=True),
    rule(r"(?<=[\w.][ ])v\.(?=[ ][A-Z])", _versus, "."),
)
