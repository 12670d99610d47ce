"""The square cover of an audiobook: the book's own, squared, or a plain one set from title and authors.

Type is Source Serif Pro (SIL OFL), from its package.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import font_source_serif_pro as source_serif  # type: ignore[import-untyped]
from PIL import Image, ImageDraw, ImageFont, ImageStat

from generation.manuscript.book import Cover

SIDE = 1400
"""Side in pixels; the least that podcast and audiobook shops take."""

PIXELS_MAX = 50_000_000
"""A cover with more pixels than this is not opened."""

_WIDTH = SIDE - 2 * 150
_CREAM, _SOFT = (244, 238, 222), (214, 204, 178)
_GROUNDS = (
    (38, 50, 71),
    (72, 38, 44),
    (36, 62, 56),
    (62, 48, 76),
    (80, 58, 36),
    (34, 60, 78),
    (52, 52, 54),
)
_JPEG = {"quality": 90, "subsampling": 0, "optimize": True}


def cover_jpeg(title: str, authors: Sequence[str], cover: Cover | None) -> bytes:
    """Return a square JPEG: `cover` on a ground of its own colour, or a set page where it cannot be used."""
    image = _squared(cover.data) if cover else None
    image = image or _set(title, authors)
    buffer = BytesIO()
    image.save(buffer, "JPEG", **_JPEG)
    return buffer.getvalue()


def _squared(data: bytes) -> Image.Image | None:
    """Return the picture centred on a square in the mean colour of its rim; None where it cannot be read."""
    try:
        with Image.open(BytesIO(data), formats=["JPEG", "PNG", "WEBP", "GIF"]) as source:
            if source.width * source.height > PIXELS_MAX or min(source.size) < 64:
                return None
            picture = source.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    paper = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    picture = Image.alpha_composite(paper, picture).convert("RGB")
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    ground = Image.new("RGB", (SIDE, SIDE), _rim_colour(picture))
    ground.paste(picture, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return ground


def _rim_colour(picture: Image.Image) -> tuple[int, int, int]:
    strip = max(1, picture.width // 50)
    left = picture.crop((0, 0, strip, picture.height))
    right = picture.crop((picture.width - strip, 0, picture.width, picture.height))
    means = zip(ImageStat.Stat(left).mean, ImageStat.Stat(right).mean, strict=True)
    red, green, blue = (round((a + b) / 2) for a, b in means)
    return red, green, blue


def _set(title: str, authors: Sequence[str]) -> Image.Image:
    digest = hashlib.sha256(title.encode()).digest()
    image = Image.new("RGB", (SIDE, SIDE), _GROUNDS[digest[0] % len(_GROUNDS)])
    draw = ImageDraw.Draw(image)
    for inset, width in ((60, 4), (74, 1)):
        draw.rectangle((inset, inset, SIDE - inset, SIDE - inset), outline=_SOFT, width=width)
    heading = _fitted(title, source_serif.SourceSerifProSemibold, 170, 660)
    by = _fitted(_joined(authors), source_serif.SourceSerifPro, 76, 200)
    gap = 64
    top = (SIDE - heading.height - 2 * gap - by.height) // 2
    rule = top + heading.height + gap
    heading.draw(draw, top, _CREAM)
    draw.line((SIDE // 2 - 90, rule, SIDE // 2 + 90, rule), fill=_SOFT, width=4)
    by.draw(draw, rule + gap, _SOFT)
    return image


def _joined(authors: Sequence[str]) -> str:
    if len(authors) > 3:
        return f"{authors[0]} and others"
    return " and ".join(filter(None, (", ".join(authors[:-1]), *authors[-1:])))


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """Centred lines in one size."""

    font: ImageFont.FreeTypeFont
    lines: tuple[str, ...]

    @property
    def leading(self) -> int:
        return round(self.font.size * 1.18)

    @property
    def height(self) -> int:
        return self.leading * len(self.lines)

    def draw(self, draw: ImageDraw.ImageDraw, top: int, fill: tuple[int, int, int]) -> None:
        for number, line in enumerate(self.lines):
            draw.text((SIDE / 2, top + number * self.leading), line, fill, self.font, anchor="ma")


def _fitted(text: str, face: str, largest: int, height: int) -> _Paragraph:
    """Set text as large as its width and height allow; what fits at no size is cut."""
    text = _clipped(text)
    for size in range(largest, 27, -2):
        font = ImageFont.truetype(face, size)
        paragraph = _Paragraph(font, tuple(_broken(text, font, _WIDTH)))
        if paragraph.height <= height and all(
            font.getlength(line) <= _WIDTH for line in paragraph.lines
        ):
            return _Paragraph(font, _evened(text, font))
    return _Paragraph(font, paragraph.lines[: height // paragraph.leading])


def _clipped(text: str) -> str:
    """Cut what no reader would take in: words beyond 50 letters, text beyond 240."""
    words = (word if len(word) <= 50 else f"{word[:49]}…" for word in text[:2000].split())
    joined = " ".join(words)
    return joined if len(joined) <= 240 else f"{joined[:239].rstrip()}…"


def _evened(text: str, font: ImageFont.FreeTypeFont) -> tuple[str, ...]:
    """Break text into the fewest lines, then narrow them as far as their number allows."""
    lines = _broken(text, font, _WIDTH)
    for width in range(_WIDTH, _WIDTH // 3, -10):
        narrower = _broken(text, font, width)
        if len(narrower) > len(lines) or any(font.getlength(line) > width for line in narrower):
            break
        lines = narrower
    return tuple(lines)


def _broken(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
