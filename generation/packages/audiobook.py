"""The W3C audiobook: `publication.json` and its LPF package (W3C Audiobooks, 2020; LPF, 2020)."""

import json
from html import escape
from pathlib import Path
from typing import Any

from generation.packages.archive import write_zip
from generation.packages.edition import Edition

MEDIA_TYPE = "application/lpf+zip"
MANIFEST = "publication.json"
_CONTENTS = "contents.html"


def publication(edition: Edition) -> dict[str, Any]:
    """Return the manifest; its addresses are relative to it, as the files of a release lie."""
    book = edition.book
    said = {
        "author": list(book.authors),
        "publisher": book.publisher,
        "description": book.description,
        "datePublished": book.published,
        "copyrightNotice": book.rights,
        "isbn": book.isbn,
    }
    return {
        "@context": [
            "https://schema.org",
            "https://www.w3.org/ns/pub-context",
            {"language": edition.language},
        ],
        "conformsTo": "https://www.w3.org/TR/audiobooks/",
        "type": "Audiobook",
        "id": f"urn:isbn:{book.isbn}" if book.isbn else edition.identity,
        "name": book.title,
        **{name: value for name, value in said.items() if value},
        "readBy": edition.narrator,
        "inLanguage": edition.language,
        "abridged": False,
        "accessibilitySummary": edition.disclosure,
        "dateModified": edition.modified,
        "duration": _duration(edition.duration_s),
        "readingOrder": [
            {
                "type": "LinkedResource",
                "url": f"mp3/{recording.stem}.mp3",
                "encodingFormat": "audio/mpeg",
                "name": recording.title,
                "duration": _duration(recording.duration_s),
            }
            for recording in edition.recordings
        ],
        "resources": [
            {
                "type": "LinkedResource",
                "rel": "cover",
                "url": "cover.jpg",
                "encodingFormat": "image/jpeg",
                "name": "Cover",
            },
            {
                "type": "LinkedResource",
                "rel": "contents",
                "url": _CONTENTS,
                "encodingFormat": "text/html",
                "name": "Contents",
            },
        ],
    }


def write_audiobook(edition: Edition) -> list[tuple[Path, str]]:
    """Write manifest, contents and LPF into the edition's folder; return them with their media types."""
    manifest, contents = edition.folder / MANIFEST, edition.folder / _CONTENTS
    manifest.write_text(
        json.dumps(publication(edition), indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    contents.write_text(_table_of_contents(edition), "utf-8")
    lpf = edition.folder / f"{edition.slug}.lpf"
    sound = ((f"mp3/{r.stem}.mp3", r.mp3) for r in edition.recordings)
    flat = [(path.name, path.read_bytes()) for path in (manifest, contents)]
    write_zip(lpf, [*flat, ("cover.jpg", edition.cover), *sound])
    return [(manifest, "application/ld+json"), (contents, "text/html"), (lpf, MEDIA_TYPE)]


def _duration(seconds: float) -> str:
    return f"PT{seconds:.3f}S"


def _table_of_contents(edition: Edition) -> str:
    items = "\n".join(
        f'<li><a href="mp3/{r.stem}.mp3">{escape(r.title)}</a></li>' for r in edition.recordings
    )
    title = escape(edition.book.title)
    return f"""\
<!DOCTYPE html>
<html lang="{escape(edition.language)}">
<head><meta charset="utf-8"><title>{title}</title><link rel="publication" href="{MANIFEST}"></head>
<body>
<h1>{title}</h1>
<p>{escape(edition.disclosure)}</p>
<nav role="doc-toc"><ol>
{items}
</ol></nav>
</body>
</html>
"""
