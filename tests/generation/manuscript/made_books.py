"""Small EPUBs made for tests: pages in, a file out; every part can be replaced by a damaged one."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

CONTAINER = """<?xml version="1.0"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
<rootfiles><rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>"""

XHTML = """<?xml version="1.0" encoding="utf-8"?>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" xml:lang="en">
<head><title>{title}</title>{head}</head>
<body{attributes}>{body}</body></html>"""


def page(body: str, *, attributes: str = "", head: str = "", title: str = "Page") -> str:
    """Return an XHTML page."""
    spaced = f" {attributes}" if attributes else ""
    return XHTML.format(title=title, head=head, attributes=spaced, body=body)


@dataclass
class MadeEpub:
    """An EPUB to be written: pages by file name in spine order, contents, and whatever else."""

    pages: dict[str, str]
    nav: str = ""  # the inside of the toc's ol
    landmarks: str = ""  # the inside of the landmarks' ol
    ncx: str = ""  # the inside of navMap
    guide: str = ""
    title: str = "A Made Book"
    metadata: str = "<dc:creator>Ann Author</dc:creator><dc:language>en</dc:language>"
    manifest: str = ""  # further items
    not_linear: frozenset[str] = frozenset()
    extra: dict[str, str | bytes] = field(default_factory=dict)
    spine: str | None = None

    def opf(self) -> str:
        """Return the package document."""
        items = "".join(
            f'<item id="p{i}" href="{quote(name)}" media-type="application/xhtml+xml"/>'
            for i, name in enumerate(self.pages)
        )
        if self.nav:
            items += '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        if self.ncx:
            items += '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
        spine = "".join(
            f'<itemref idref="p{i}" linear="{"no" if name in self.not_linear else "yes"}"/>'
            for i, name in enumerate(self.pages)
        )
        toc = ' toc="ncx"' if self.ncx else ""
        return f"""<?xml version="1.0"?>
<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:opf="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="uid">
<metadata><dc:title>{self.title}</dc:title>{self.metadata}</metadata>
<manifest>{items}{self.manifest}</manifest>
<spine{toc}>{spine if self.spine is None else self.spine}</spine>
<guide>{self.guide}</guide></package>"""

    def files(self) -> dict[str, str | bytes]:
        """Return all files by path."""
        files: dict[str, str | bytes] = {
            "META-INF/container.xml": CONTAINER,
            "OEBPS/content.opf": self.opf(),
        }
        files.update({f"OEBPS/{name}": text for name, text in self.pages.items()})
        if self.nav:
            landmarks = (
                f'<nav epub:type="landmarks"><ol>{self.landmarks}</ol></nav>'
                if self.landmarks
                else ""
            )
            files["OEBPS/nav.xhtml"] = page(
                f'<nav epub:type="toc"><h1>Contents</h1><ol>{self.nav}</ol></nav>{landmarks}'
            )
        if self.ncx:
            files["OEBPS/toc.ncx"] = (
                '<?xml version="1.0"?><ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1">'
                f"<navMap>{self.ncx}</navMap></ncx>"
            )
        files.update(self.extra)
        return files

    def write(self, folder: Path, name: str = "made.epub") -> Path:
        """Write the file and return its path."""
        return write_zip(folder / name, self.files())


def write_zip(
    path: Path, files: dict[str, str | bytes], mimetype: str = "application/epub+zip"
) -> Path:
    """Write a ZIP file with its mimetype first and stored, as OCF wants it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        if mimetype:
            made.writestr("mimetype", mimetype, zipfile.ZIP_STORED)
        for name, data in files.items():
            made.writestr(name, data)
    return path


def point(label: str, source: str, inside: str = "") -> str:
    """Return an NCX navPoint."""
    text = f"<navLabel><text>{label}</text></navLabel>"
    return f'<navPoint>{text}<content src="{source}"/>{inside}</navPoint>'


def entry(label: str, href: str = "", inside: str = "") -> str:
    """Return an EPUB 3 nav entry."""
    link = f'<a href="{href}">{label}</a>' if href else f"<span>{label}</span>"
    return f"<li>{link}{f'<ol>{inside}</ol>' if inside else ''}</li>"


PROSE = "<p>It was a quiet morning, and nothing stirred in the house but the clock.</p>"
