"""Titles before and after names: "Mr.", "St. Simon", "Dr. Watson", "Lieut.-Col.", "Esq.", "Jr."."""

import re

from generation.script.english.rules import Rule, Spoken, after, before, rule

_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Messrs": "Messers", "Mme": "Madame",
    "Mlle": "Mademoiselle", "Mmes": "Mesdames", "Dr": "Doctor", "Drs": "Doctors", "Prof": "Professor",
    "Rev": "Reverend", "Revd": "Reverend", "Hon": "Honorable", "Capt": "Captain", "Col": "Colonel",
    "Gen": "General", "Lt": "Lieutenant", "Lieut": "Lieutenant", "Maj": "Major", "Sgt": "Sergeant",
    "Sergt": "Sergeant", "Cpl": "Corporal", "Pvt": "Private", "Gov": "Governor", "Sen": "Senator",
    "Rep": "Representative", "Pres": "President", "Supt": "Superintendent", "Insp": "Inspector",
    "Det": "Detective", "Adm": "Admiral", "Cmdr": "Commander", "Brig": "Brigadier", "Fr": "Father",
    "Sr": "Senior", "Bp": "Bishop", "Abp": "Archbishop", "Amb": "Ambassador", "Atty": "Attorney",
    "Pte": "Private",
}  # fmt: skip
_GIVEN = {
    "Edw": "Edward", "Wm": "William", "Chas": "Charles", "Geo": "George", "Jas": "James",
    "Thos": "Thomas", "Jos": "Joseph", "Robt": "Robert", "Benj": "Benjamin", "Saml": "Samuel",
    "Danl": "Daniel", "Fredk": "Frederick",
}  # fmt: skip
_AFTER_NAMES = {
    "Jr": "Junior",
    "Sr": "Senior",
    "Esq": "Esquire",
    "Bros": "Brothers",
    "Bart": "Baronet",
}
_WITHOUT_STOP = ("Mr", "Mrs", "Ms", "Dr", "Messrs", "Mme", "Mlle")


def _title(match: re.Match[str]) -> Spoken:
    title = match["title"]
    if title == "Dr" and _is_drive(match):
        return "Drive"
    return _TITLES[title]


def _shouted(match: re.Match[str]) -> Spoken:
    return _TITLES[match["title"].capitalize()]


def _is_drive(match: re.Match[str]) -> bool:
    street = re.search(r"\b\d+\w?,? (?:[A-Z][\w']+ )+$", before(match, 60))
    return bool(street)


def _saint(match: re.Match[str]) -> Spoken:
    """Saint before a name; the street rules have already taken what stands behind one."""
    return "Saint"


def _after_name(match: re.Match[str]) -> Spoken:
    named = re.search(r"[A-Z][\w'.]*,? $", before(match))
    return _AFTER_NAMES[match["title"]] if named else None


def _monsieur(match: re.Match[str]) -> Spoken:
    """Monsieur before a French name; an initial before any other."""
    name = after(match).split()
    if not name or not re.match(
        r"(?:[Dd]e|[Dd]u|[Ll][ea]|Dupin|[A-Z]\w+(?:eau|ois|ot|et|ard|ier|ain|ault|ac)\b)", name[0]
    ):
        return None
    return "Monsieur"


def _given(match: re.Match[str]) -> Spoken:
    return _GIVEN[match["name"]]


_LISTED = "|".join(sorted(_TITLES, key=len, reverse=True))
_LISTED_AFTER = "|".join(_AFTER_NAMES)
RULES: tuple[Rule, ...] = (
    rule(rf"\b(?P<name>{'|'.join(_GIVEN)})\.(?=[ ][A-Z])", _given, "."),
    rule(rf"\b(?P<title>{_LISTED_AFTER})\.(?!\w)(?![ ][A-Z]\.)", _after_name, ".", may_end=True),
    rule(rf"\b(?P<title>{_LISTED})\.(?=[ -]?\W{{0,2}}[A-Z⸺⸻—]|-)", _title, "."),
    rule(rf"\b(?P<title>{'|'.join(_WITHOUT_STOP)})(?=[ ][A-Z])", _title, "MD"),
    rule(r"\b(?P<title>Mr|Mrs|Dr|Messrs)\.", _title, "."),
    rule(r"\b(?P<title>MR|MRS|DR|MESSRS|REV|CAPT|COL)\.(?=[ ][A-Z])", _shouted, "."),
    rule(r"\bST\.(?=[ ][A-Z])", _saint, "."),
    rule(r"\bSt\.(?=[ -]?[A-Z])", _saint, "."),
    rule(r"\bSte\.(?=[ -][A-Z])", lambda m: "Sainte", "."),
    rule(r"\bMt\.(?=[ ][A-Z])", lambda m: "Mount", "."),
    rule(r"\bFt\.(?=[ ][A-Z])", lambda m: "Fort", "."),
    rule(r"\bM\.(?=[ ][A-Zd])", _monsieur, "."),
)
