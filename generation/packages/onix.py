"""The ONIX 3.0 record of an audiobook: what book-trade databases take (EDItEUR, ONIX for Books 3.0.8).

Reference tags, in the order of the specification; EDItEUR's code lists by number in the comments. EDItEUR's
own schema is licensed and not shipped here: `tests/generation/packages/test_onix.py` checks order, presence
and codes against the specification's text.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lxml import etree

from generation.mastering.files import iso_639_2
from generation.packages.edition import Edition

NAMESPACE = "http://ns.editeur.org/onix/3.0/reference"

SYNTHESISED_VOICE = {"AI Voice": "07", "Authorized Voice Replica": "08"}
"""List 19: 07 a synthesised voice, unspecified; 08 one based on an actor's."""

ROLES = {
    "author": "A01", "illustrator": "A12", "introduction": "A24", "editor": "B01", "abridger": "B04",
    "translator": "B06", "producer": "D01", "director": "D02",
}  # fmt: skip
"""List 17."""


def record(edition: Edition, formats: tuple[str, ...] = ("A103", "A107")) -> bytes:
    """Return the message with one product record.

    `formats` are List 175 details: A103 MP3, A107 AAC (the M4B).
    """
    namespaces: Any = {None: NAMESPACE}  # the stubs know no default namespace
    message = etree.Element(f"{{{NAMESPACE}}}ONIXMessage", {"release": "3.0"}, nsmap=namespaces)
    sent = datetime.fromisoformat(edition.modified).strftime("%Y%m%dT%H%MZ")
    _fill(
        message,
        {
            "Header": {
                "Sender": {"SenderName": edition.book.publisher or "Lectern"},
                "SentDateTime": sent,
            },
            "Product": {
                "RecordReference": edition.identity,
                "NotificationType": "03",  # list 1: confirmed on publication
                "ProductIdentifier": list(_identifiers(edition)),
                "DescriptiveDetail": _descriptive(edition, formats),
                "CollateralDetail": _collateral(edition),
                "PublishingDetail": _publishing(edition),
            },
        },
    )
    document: bytes = etree.tostring(
        message, xml_declaration=True, encoding="UTF-8", pretty_print=True
    )
    return document


def _identifiers(edition: Edition) -> Iterator[dict[str, Any]]:
    yield {
        "ProductIDType": "01",  # list 5: proprietary
        "IDTypeName": "Lectern",
        "IDValue": edition.identity,
    }
    if edition.book.isbn:
        yield {"ProductIDType": "15", "IDValue": edition.book.isbn}  # list 5: ISBN-13


def _descriptive(edition: Edition, formats: tuple[str, ...]) -> dict[str, Any]:
    book = edition.book
    language = iso_639_2(edition.language)
    return {
        "ProductComposition": "00",  # list 2: single item
        "ProductForm": "AJ",  # list 150: downloadable audio file
        "ProductFormDetail": list(formats),
        "PrimaryContentType": "01",  # list 81: audiobook
        "TitleDetail": {
            "TitleType": "01",  # list 15: distinctive title
            "TitleElement": {
                "TitleElementLevel": "01",  # list 149: product
                "TitleText": book.title,
                "Subtitle": book.subtitle,
            },
        },
        "Contributor": list(_contributors(edition)),
        "EditionType": "UBR",  # list 21: unabridged
        "Language": {"LanguageRole": "01", "LanguageCode": language},  # list 22: of the text
        "Extent": [
            {
                "ExtentType": "09",  # list 23: duration
                "ExtentValue": str(round(edition.duration_s)),
                "ExtentUnit": "06",  # list 24: seconds
            },
            {
                "ExtentType": "22",  # list 23: filesize of the MP3 set
                "ExtentValue": str(sum(r.mp3.stat().st_size for r in edition.recordings)),
                "ExtentUnit": "17",  # list 24: bytes
            },
        ],
    }


def _contributors(edition: Edition) -> Iterator[dict[str, Any]]:
    people = [("author", name) for name in edition.book.authors]
    people += [(role, name) for role, names in edition.book.credits.items() for name in names]
    number = 0
    for number, (role, name) in enumerate(people, 1):
        yield {
            "SequenceNumber": str(number),
            "ContributorRole": ROLES.get(role, "Z99"),  # list 17; Z99: other
            "PersonName": name,
        }
    yield {
        "SequenceNumber": str(number + 1),
        "ContributorRole": "E07",  # list 17: read by
        "UnnamedPersons": SYNTHESISED_VOICE[edition.voice.label],
    }


def _collateral(edition: Edition) -> dict[str, Any]:
    described = f"{edition.book.description}\n\n{edition.disclosure}".strip()
    return {
        "TextContent": {
            "TextType": "03",  # list 153: description
            "ContentAudience": "00",  # list 154: unrestricted
            "Text": described,
        }
    }


def _publishing(edition: Edition) -> dict[str, Any]:
    publisher = edition.book.publisher or "Lectern"
    return {
        "Imprint": {"ImprintName": publisher},
        "Publisher": {"PublishingRole": "01", "PublisherName": publisher},  # list 45: publisher
        "PublishingStatus": "04",  # list 64: active
        "PublishingDate": {
            "PublishingDateRole": "01",  # list 163: publication date
            "Date": edition.modified[:10].replace("-", ""),
        },
    }


def _fill(parent: etree._Element, content: dict[str, Any]) -> None:
    """Write nested elements in the order given; empty texts are left out."""
    for name, value in content.items():
        for one in value if isinstance(value, list) else [value]:
            if one == "":
                continue
            element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
            if isinstance(one, dict):
                _fill(element, one)
            else:
                element.text = "".join(c for c in one if c in "\n\t" or ord(c) >= 32)
