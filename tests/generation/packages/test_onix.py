"""The ONIX record against the specification's text: order, presence, and codes of each element.

EDItEUR's schema cannot be had here, so the sequences below are written out from "ONIX for Books Product
Information Format Specification" 3.0 (groups P.1 to P.20), for the elements that are used.
"""

import re
from typing import Any

from lxml import etree
from packaged_story import Packaged

from generation.packages import isbn, onix

SEQUENCES = {
    "ONIXMessage": ("Header!", "Product!"),
    "Header": ("Sender!", "SentDateTime!"),
    "Sender": ("SenderName!",),
    "Product": ("RecordReference!", "NotificationType!", "ProductIdentifier!", "DescriptiveDetail",
                "CollateralDetail", "PublishingDetail"),
    "ProductIdentifier": ("ProductIDType!", "IDTypeName", "IDValue!"),
    "DescriptiveDetail": ("ProductComposition!", "ProductForm!", "ProductFormDetail",
                          "PrimaryContentType", "TitleDetail!", "Contributor", "EditionType",
                          "Language", "Extent"),
    "TitleDetail": ("TitleType!", "TitleElement!"),
    "TitleElement": ("TitleElementLevel!", "TitleText!", "Subtitle"),
    "Contributor": ("SequenceNumber", "ContributorRole!", "UnnamedPersons", "PersonName"),
    "Language": ("LanguageRole!", "LanguageCode!"),
    "Extent": ("ExtentType!", "ExtentValue!", "ExtentUnit!"),
    "CollateralDetail": ("TextContent",),
    "TextContent": ("TextType!", "ContentAudience!", "Text!"),
    "PublishingDetail": ("Imprint", "Publisher", "PublishingStatus", "PublishingDate"),
    "Imprint": ("ImprintName!",),
    "Publisher": ("PublishingRole!", "PublisherName!"),
    "PublishingDate": ("PublishingDateRole!", "Date!"),
}  # fmt: skip
"""What each composite may hold, in order; `!` must be there."""

FORMS = {
    "SentDateTime": r"\d{8}T\d{4}Z",
    "NotificationType": r"\d\d",
    "ProductIDType": r"\d\d",
    "ProductForm": r"A[A-Z]",
    "ProductFormDetail": r"A1\d\d",
    "LanguageCode": r"[a-z]{3}",
    "ExtentValue": r"[1-9]\d*",
    "ContributorRole": r"[A-Z]\d\d",
    "Date": r"\d{8}",
}


def name(element: etree._Element) -> str:
    return etree.QName(element).localname


def check(element: etree._Element) -> None:
    """Check a composite and all below it."""
    allowed = SEQUENCES.get(name(element))
    if allowed is None:
        assert len(element) == 0, f"{name(element)} is no composite"
        assert element.text
        assert re.fullmatch(FORMS.get(name(element), ".+"), element.text, re.S), element.text
        return
    order = [one.rstrip("!") for one in allowed]
    found = [name(child) for child in element]
    assert set(found) <= set(order), f"{name(element)} may not hold {set(found) - set(order)}"
    assert found == sorted(found, key=order.index), f"{name(element)} is out of order: {found}"
    assert {one[:-1] for one in allowed if one.endswith("!")} <= set(found)
    for child in element:
        assert etree.QName(child).namespace == onix.NAMESPACE
        check(child)


def texts(message: etree._Element, path: str) -> list[Any]:
    return [found.text for found in message.iterfind(path, {None: onix.NAMESPACE})]  # type: ignore[dict-item]


def test_the_record_follows_the_specification(packaged: Packaged) -> None:
    message = etree.fromstring((packaged.out / "onix.xml").read_bytes())
    assert message.get("release") == "3.0"
    check(message)
    descriptive = "Product/DescriptiveDetail"
    assert texts(message, "Product/ProductIdentifier/IDValue")[1] == "9780306406157"
    assert texts(message, f"{descriptive}/ProductForm") == ["AJ"]
    assert texts(message, f"{descriptive}/Contributor/ContributorRole") == [
        *("A01", "A01", "B06", "E07")
    ]
    assert texts(message, f"{descriptive}/Contributor/UnnamedPersons") == ["07"]
    seconds, size = texts(message, f"{descriptive}/Extent/ExtentValue")
    assert abs(float(seconds) - packaged.release.duration_s) <= 0.5
    mp3 = [file.bytes for c in packaged.release.chapters for file in c.files if "mp3/" in file.path]
    assert int(size) == sum(mp3)
    assert "AI voice" in texts(message, "Product/CollateralDetail/TextContent/Text")[0]


def test_isbns_are_checked_and_written_with_thirteen_digits() -> None:
    assert isbn.isbn_13("978-0-306-40615-7") == "9780306406157"
    assert isbn.isbn_13("urn:isbn:0-306-40615-2") == "9780306406157"
    assert isbn.isbn_13("080442957X") == "9780804429573"
    for wrong in ("", "978-0-306-40615-8", "0306406153", "urn:uuid:1234", "https://example.org"):
        assert isbn.isbn_13(wrong) == ""
