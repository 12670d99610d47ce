"""The book as a podcast: RSS 2.0 with iTunes and Podcasting 2.0 tags, and JSON chapters (1.2.0) by episode.

The addresses are relative to the release's folder, whose own name is not known before the feed is final;
`absolute` completes them for where the folder can be reached.
"""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from lxml import etree

from generation.packages.edition import Edition, Recording, scene_starts

ITUNES = "http://www.itunes.com/dtds/podcast-1.0.dtd"
PODCAST = "https://podcastindex.org/namespace/1.0"


def write_chapters(recording: Recording, path: Path) -> None:
    """Write an episode's JSON chapters: its start, and every scene."""
    starts = [
        0.0,
        *(scene_starts(recording.text, recording.times.words) if recording.text else ()),
    ]
    chapters = [
        {
            "startTime": round(start, 3),
            "title": recording.title if not i else f"{recording.title}, scene {i + 1}",
        }
        for i, start in enumerate(starts)
    ]
    document = {"version": "1.2.0", "title": recording.title, "chapters": chapters}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


def feed(edition: Edition) -> bytes:
    """Return the feed: an episode a recording, in serial order, each a minute younger than the last."""
    book = edition.book
    rss = etree.Element("rss", {"version": "2.0"}, nsmap={"itunes": ITUNES, "podcast": PODCAST})
    channel = etree.SubElement(rss, "channel")
    _add(channel, "title", book.title)
    _add(channel, "link", "contents.html")
    _add(channel, "description", f"{book.description}\n\n{edition.disclosure}".strip())
    _add(channel, "language", edition.language)
    _add(channel, "copyright", book.rights)
    _add(channel, f"{{{ITUNES}}}author", ", ".join(book.authors))
    _add(channel, f"{{{ITUNES}}}type", "serial")
    _add(channel, f"{{{ITUNES}}}explicit", "false")
    etree.SubElement(channel, f"{{{ITUNES}}}category", {"text": "Arts"})
    etree.SubElement(channel, f"{{{ITUNES}}}image", {"href": "cover.jpg"})
    _add(channel, f"{{{PODCAST}}}guid", str(uuid5(NAMESPACE_URL, edition.identity)))
    _add(channel, f"{{{PODCAST}}}medium", "audiobook")
    for author in book.authors:
        _add(channel, f"{{{PODCAST}}}person", author, role="author", group="writing")
    _add(channel, f"{{{PODCAST}}}person", edition.narrator, role="narrator", group="cast")
    for place, recording in enumerate(edition.recordings, 1):
        _episode(channel, edition, recording, place)
    document: bytes = etree.tostring(rss, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return document


def absolute(feed: bytes, base_url: str) -> bytes:
    """Return a feed whose addresses begin with `base_url`, where the release's folder can be reached."""
    base = f"{base_url.rstrip('/')}/"
    rss = etree.fromstring(feed, etree.XMLParser(remove_blank_text=True, resolve_entities=False))
    for element in rss.iter():
        for name in ("url", "href"):
            if (address := element.get(name)) and "://" not in address:
                element.set(name, base + address)
    for link in rss.iterfind("channel/link"):
        link.text = base + (link.text or "")
    document: bytes = etree.tostring(rss, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return document


def _episode(channel: etree._Element, edition: Edition, recording: Recording, place: int) -> None:
    item = etree.SubElement(channel, "item")
    _add(item, "title", recording.title)
    _add(item, "description", f"{edition.book.title}: {recording.title}. {edition.disclosure}")
    _add(item, "guid", f"{edition.identity}#{recording.stem}", isPermaLink="false")
    approved = datetime.fromisoformat(edition.modified).astimezone(UTC)
    _add(item, "pubDate", format_datetime(approved + timedelta(minutes=place)))
    etree.SubElement(
        item,
        "enclosure",
        {
            "url": f"mp3/{recording.stem}.mp3",
            "length": str(recording.mp3.stat().st_size),
            "type": "audio/mpeg",
        },
    )
    _add(item, f"{{{ITUNES}}}duration", str(round(recording.duration_s)))
    _add(item, f"{{{ITUNES}}}episode", str(place))
    _add(item, f"{{{ITUNES}}}episodeType", "full")
    etree.SubElement(
        item,
        f"{{{PODCAST}}}chapters",
        {
            "url": f"chapters/{recording.stem}.json",
            "type": "application/json+chapters",
        },
    )
    etree.SubElement(
        item,
        f"{{{PODCAST}}}transcript",
        {
            "url": f"vtt/{recording.stem}.vtt",
            "type": "text/vtt",
            "language": edition.language,
        },
    )


def _add(parent: etree._Element, name: str, text: str, **attributes: str) -> None:
    if text:
        etree.SubElement(parent, name, attributes).text = _printable(text)


def _printable(text: str) -> str:
    """Drop control characters, which XML cannot hold."""
    return "".join(c for c in text if c in "\n\t" or ord(c) >= 32)
