"""What an Audiobookshelf library reads beside an M4B: `metadata.json` (audiobookshelf 2.x)."""

import json
import re
from pathlib import Path

from generation.packages.edition import Edition


def write_metadata(edition: Edition, path: Path) -> None:
    """Write the item's metadata; put its folder anywhere in a library as `Author/Title`."""
    book = edition.book
    start, chapters = 0.0, []
    for number, recording in enumerate(edition.recordings):
        end = start + recording.duration_s
        chapters.append(
            {
                "id": number,
                "start": round(start, 3),
                "end": round(end, 3),
                "title": recording.title,
            }
        )
        start = end
    year = re.match(r"\d{4}", book.published)
    metadata = {
        "tags": ["AI narration"],
        "chapters": chapters,
        "title": book.title,
        "subtitle": book.subtitle or None,
        "authors": list(book.authors),
        "narrators": [edition.narrator],
        "series": [],
        "genres": ["Audiobook"],
        "publishedYear": year[0] if year else None,
        "publishedDate": book.published or None,
        "publisher": book.publisher or None,
        "description": f"{book.description}\n\n{edition.disclosure}".strip(),
        "isbn": book.isbn or None,
        "asin": None,
        "language": edition.language,
        "explicit": False,
        "abridged": False,
    }
    path.write_text(json.dumps(metadata, indent=1, ensure_ascii=False) + "\n", "utf-8")
