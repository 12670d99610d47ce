"""The catalogue: one page and one JSON document of all releases, in the object store beside them.

It is written whole whenever a release comes or goes, under a lock, so that it never falls behind.
"""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from flows.services import Services
from generation.packages.podcast import absolute
from generation.packages.release import RELEASE_FILE
from storage import keys, releases
from storage.releases import Listed

PAGE, DOCUMENT = f"{keys.CATALOGUE}index.html", f"{keys.CATALOGUE}catalogue.json"
_FRESH = "no-cache"

_STYLE = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .5rem .75rem; border-bottom: 1px solid #8886; vertical-align: top; }
code { font-size: .85em; overflow-wrap: anywhere; }
.withdrawn, .superseded { opacity: .6; }
"""


def write_catalogue(services: Services) -> list[dict[str, Any]]:
    """Write page and document anew; returns the document's releases."""
    with releases.listing(services.engine) as listed:
        rows = [_row(one) for one in listed]
        document = {"format": "lectern-catalogue/1", "releases": rows}
        data = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
        store = services.store
        store.put(DOCUMENT, data, content_type="application/json", cache_control=_FRESH)
        page = _page(rows).encode()
        store.put(PAGE, page, content_type="text/html; charset=utf-8", cache_control=_FRESH)
    return rows


def write_feed(services: Services, production_id: int, release_digest: str) -> None:
    """Write a release's podcast feed with whole addresses, where the settings say what those are."""
    public = services.settings.public_url
    if public:
        folder = keys.published(release_digest)
        relative = services.store.get(f"{folder}podcast.xml")
        services.store.put(
            _feed_key(production_id),
            absolute(relative, f"{public.rstrip('/')}/{folder}"),
            content_type="application/rss+xml",
            cache_control=_FRESH,
        )


def remove_feed(services: Services, production_id: int) -> None:
    """Remove a withdrawn release's feed."""
    services.store.delete(_feed_key(production_id))


def _feed_key(production_id: int) -> str:
    return f"{keys.CATALOGUE}podcasts/{production_id}.xml"


def _row(one: Listed) -> dict[str, Any]:
    there = one.state in {"published", "superseded"}
    return {
        "title": one.title,
        "authors": list(one.authors),
        "voice": one.voice,
        "state": one.state,
        "production": one.production_id,
        "digest": one.digest,
        "manifest": keys.published(one.digest, RELEASE_FILE) if there else None,
        "published_at": one.published_at.isoformat(),
        "withdrawn_at": one.withdrawn_at.isoformat() if one.withdrawn_at else None,
        "superseded_by": one.superseded_by,
    }


def _page(rows: Sequence[dict[str, Any]]) -> str:
    lines = "\n".join(map(_line, rows)) or '<tr><td colspan="5">Nothing is published yet.</td></tr>'
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Releases</title><style>{_STYLE}</style></head>
<body>
<h1>Releases</h1>
<p>Every audiobook here is narrated by an artificial voice. <a href="catalogue.json">As JSON</a>.</p>
<table>
<thead><tr><th>Title</th><th>Voice</th><th>Published</th><th>State</th><th>Digest</th></tr></thead>
<tbody>
{lines}
</tbody>
</table>
</body>
</html>
"""


def _line(row: dict[str, Any]) -> str:
    title = escape(row["title"])
    if row["manifest"]:
        title = f'<a href="../{escape(row["manifest"])}">{title}</a>'
    state = escape(row["state"])
    if row["superseded_by"]:
        state += f" by <code>{escape(row['superseded_by'][:12])}</code>"
    return (
        f'<tr class="{escape(row["state"])}"><td>{title}<br>{escape(", ".join(row["authors"]))}</td>'
        f"<td>{escape(row['voice'])} (AI)</td><td>{escape(row['published_at'][:10])}</td>"
        f"<td>{state}</td><td><code>{escape(row['digest'])}</code></td></tr>"
    )
