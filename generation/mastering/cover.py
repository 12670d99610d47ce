"""The square cover of an audiobook: the book's own, squared, or a plain one set from title and authors.

Type is Source Serif Pro (SIL OFL), from its package.
"""

import hashlib
from collections.abc import Sequence
from io import BytesIO

import font_source_serif_pro as source_serif  # type: ignore[import-untyped]
from PIL import Image, ImageDraw, ImageFont, ImageStat

from generation.manuscript.book import Cover

SIDE = 1400
"""Side in pixels; the least that podcast and audiobook shops take."""

PIXELS_MAX = 50_000_000
"""A cover with more pixels than this is not opened."""

_MARGIN = 150
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
    inset = 60
    draw.rectangle((inset, inset, SIDE - inset, SIDE - inset), outline=_SOFT, width=4)
    draw.rectangle(
        (inset + 14, inset + 14, SIDE - inset - 14, SIDE - inset - 14), outline=_SOFT, width=1
    )
    bottom = _lines(draw, title, source_serif.SourceSerifProSemibold, _CREAM, (170, 260, 620))
    rule = max(900, bottom + 70)
    draw.line((SIDE // 2 - 90, rule, SIDE // 2 + 90, rule), fill=_SOFT, width=4)
    by = _joined(authors)
    if by:
        _lines(draw, by, source_serif.SourceSerifPro, _SOFT, (76, rule + 60, SIDE - rule - 220))
    return image


def _joined(authors: Sequence[str]) -> str:
    if len(authors) > 3:
        return f"{authors[0]} and others"
    return " and ".join(filter(None, (", ".join(authors[:-1]), *authors[-1:])))


def _lines(
    draw: ImageDraw.ImageDraw,
    text: str,
    face: str,
    fill: tuple[int, int, int],
    box: tuple[int, int, int],
) -> int:
    """Set centred lines as large as fit `box` (largest size, top, height); return where they end."""
    largest, top, height = box
    for size in range(largest, 27, -2):
        font = ImageFont.truetype(face, size)
        lines = _wrapped(text, font)
        leading = round(size * 1.18)
        fits = all(font.getlength(line) <= SIDE - 2 * _MARGIN for line in lines)
        if fits and leading * len(lines) <= height:
            break
    lines = lines[: max(1, height // leading)]
    for number, line in enumerate(lines):
        draw.text((SIDE / 2, top + number * leading), line, fill, font, anchor="ma")
    return top + leading * len(lines)


def _wrapped(text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """Break text into the fewest lines that fit, then narrow them while their number stays: even lines."""
    width = SIDE - 2 * _MARGIN
    lines = _broken(text, font, width)
    for narrower in range(width, width // 3, -10):
        tried = _broken(text, font, narrower)
        if len(tried) > len(lines) or any(font.getlength(line) > narrower for line in tried):
            break
        best = tried
    else:
        return lines
    return best if narrower < width else lines


def _broken(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]
