"""FLAC, MP3 and M4B as ffprobe and ffmpeg read them, and the cover."""

import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from mastering_tools import lag_samples, tool
from numpy.typing import NDArray
from PIL import Image

from generation.manuscript.book import Cover
from generation.mastering.files import FLAC, M4B, MP3, AudioWriter, Format, Mark, Tags, read_audio
from generation.packages.cover import SIDE, cover_jpeg
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ

Audio = NDArray[np.float32]
Probe = Callable[[Path], Any]
Decode = Callable[[Path], Audio]

TAGS = Tags(
    title="Ein Skandal in Böhmen",
    album="Die Abenteuer",
    authors="Arthur Conan Doyle, Ωmega",
    narrator="joe (AI Voice)",
    disclosure="Narrated by an AI voice.",
    language="de-AT",
    publisher="Lectern",
    published="1892",
    copyright="CC0",
    description="Twelve stories.",
    track="2/12",
)
COVER = cover_jpeg("Die Abenteuer", ["Arthur Conan Doyle"], None)
MARKS = (
    Mark("Erstes — “Anfang”", 0, 400_001),
    Mark("Zweites", 400_001, 700_123),
    Mark("Drittes", 700_123, 20 * DELIVERY_RATE_HZ + 77),
)


@pytest.fixture(scope="module")
def audio(speech: Callable[[str, float], Audio]) -> Audio:
    """Twenty seconds and 77 samples of real speech at the delivery rate, peaking at -3.4 dBFS."""
    clip = soxr.resample(speech("ljspeech", 21), SAMPLE_RATE_HZ, DELIVERY_RATE_HZ, quality="VHQ")
    clip = clip[: 20 * DELIVERY_RATE_HZ + 77]
    return np.asarray(clip * (10 ** (-3.4 / 20) / np.abs(clip).max()), np.float32)


def _write(path: Path, kind: Format, audio: Audio, blocks: int = 13) -> Path:
    with AudioWriter(path, kind, TAGS, COVER, MARKS if kind is M4B else ()) as writer:
        for block in np.array_split(audio, blocks):
            writer.write(block)
    return path


@pytest.mark.parametrize("kind", [FLAC, MP3, M4B])
def test_ffprobe_reads_length_tags_and_cover(
    kind: Format, audio: Audio, probe: Probe, tmp_path: Path
) -> None:
    found = probe(_write(tmp_path / f"a{kind.suffix}", kind, audio))
    sound, *others = sorted(found["streams"], key=lambda s: s["codec_type"] != "audio")
    picture = next(s for s in others if s["codec_type"] == "video")
    tags = {name.lower(): value for name, value in found["format"]["tags"].items()}
    assert (sound["sample_rate"], sound["channels"]) == ("44100", 1)
    assert sound["codec_name"] == {FLAC: "flac", MP3: "mp3", M4B: "aac"}[kind]
    assert float(sound["duration"]) == pytest.approx(len(audio) / DELIVERY_RATE_HZ, abs=0.06)
    assert picture["disposition"]["attached_pic"] == 1
    assert (picture["codec_name"], picture["width"], picture["height"]) == ("mjpeg", SIDE, SIDE)
    wanted = {
        "title": TAGS.title, "album": TAGS.album, "artist": TAGS.authors, "album_artist": TAGS.authors,
        "composer": TAGS.narrator, "genre": "Audiobook", "date": "1892", "copyright": "CC0",
    }  # fmt: skip
    assert {name: tags.get(name) for name in wanted} == wanted
    assert TAGS.disclosure in tags["comment"]
    if kind is M4B:
        assert sound["tags"]["language"] == "deu"
    else:
        assert tags["language"] == "deu"


@pytest.mark.parametrize("kind", [FLAC, MP3, M4B])
def test_the_cover_comes_back_byte_for_byte(kind: Format, audio: Audio, tmp_path: Path) -> None:
    path = _write(tmp_path / f"a{kind.suffix}", kind, audio)
    command = [
        tool("ffmpeg"),
        "-v",
        "error",
        "-i",
        str(path),
        "-map",
        "0:v",
        "-c",
        "copy",
        "-f",
        "image2pipe",
    ]
    assert subprocess.run([*command, "-"], capture_output=True, check=True).stdout == COVER


def test_an_mp3_has_a_constant_bit_rate(audio: Audio, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mp3", MP3, audio)
    command = [
        tool("ffprobe"),
        "-v",
        "error",
        "-select_streams",
        "a",
        "-show_entries",
        "packet=size",
    ]
    done = subprocess.run(
        [*command, "-of", "csv=p=0", str(path)], capture_output=True, check=True, text=True
    )
    sizes = {int(line.strip(",")) for line in done.stdout.split()}
    # 1152 samples at 192 kbit/s are 626.9 bytes: a frame has 626 or, padded, 627.
    assert sizes <= {626, 627}


def test_an_m4b_has_its_marks_to_the_millisecond_and_calls_itself_an_audiobook(
    audio: Audio, probe: Probe, tmp_path: Path
) -> None:
    found = probe(_write(tmp_path / "a.m4b", M4B, audio))
    assert [c["tags"]["title"] for c in found["chapters"]] == [m.title for m in MARKS]
    for chapter, mark in zip(found["chapters"], MARKS, strict=True):
        assert float(chapter["start_time"]) == pytest.approx(
            mark.start / DELIVERY_RATE_HZ, abs=0.001
        )
        assert float(chapter["end_time"]) == pytest.approx(mark.end / DELIVERY_RATE_HZ, abs=0.001)
    assert found["format"]["tags"]["major_brand"] == "M4B "
    assert found["format"]["tags"]["media_type"] == "2"
    head = (tmp_path / "a.m4b").read_bytes()
    assert head.index(b"moov") < head.index(b"mdat"), "must play before it is all there"


def test_a_flac_holds_every_sample_at_24_bits(audio: Audio, decode: Decode, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.flac", FLAC, audio)
    exact = np.rint(audio.astype(np.float64) * (1 << 23)) / (1 << 23)
    np.testing.assert_array_equal(decode(path), exact.astype(np.float32))
    np.testing.assert_array_equal(np.concatenate(list(read_audio(path))), exact.astype(np.float32))


@pytest.mark.parametrize("kind", [MP3, M4B])
@pytest.mark.parametrize("reader", ["ffmpeg", "ours"])
def test_encoder_delay_is_undone_and_the_level_kept(
    kind: Format, reader: str, audio: Audio, decode: Decode, tmp_path: Path
) -> None:
    path = _write(tmp_path / f"a{kind.suffix}", kind, audio)
    heard = decode(path) if reader == "ffmpeg" else np.concatenate(list(read_audio(path)))
    assert abs(len(heard) - len(audio)) <= 1152
    for second in range(0, 18, 3):
        here = slice(second * DELIVERY_RATE_HZ, (second + 2) * DELIVERY_RATE_HZ)
        lag = lag_samples(audio[here], heard[here], DELIVERY_RATE_HZ)
        assert abs(lag) / DELIVERY_RATE_HZ < 0.00005
    level_db = 10 * np.log10(np.mean(heard[: len(audio)] ** 2) / np.mean(audio**2))
    assert abs(level_db) < 0.05


def test_a_writer_that_fails_leaves_the_error_to_its_caller(audio: Audio, tmp_path: Path) -> None:
    with (
        pytest.raises(KeyError, match="mine"),
        AudioWriter(tmp_path / "a.mp3", MP3, TAGS, COVER) as writer,
    ):
        writer.write(audio[:5000])
        raise KeyError("mine")


def _picture(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    assert (image.format, image.size, image.mode) == ("JPEG", (SIDE, SIDE), "RGB")
    return image


def _encoded(image: Image.Image, form: str) -> Cover:
    buffer = BytesIO()
    image.save(buffer, form)
    return Cover(buffer.getvalue(), f"image/{form.lower()}")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_books_own_cover_is_squared_on_its_own_colour(form: str) -> None:
    tall = Image.new("RGB", (600, 900), (200, 30, 40))
    tall.paste((20, 200, 60), (200, 300, 400, 600))
    image = _picture(cover_jpeg("T", ["A"], _encoded(tall, form)))
    assert image.getpixel((5, 700)) == pytest.approx((200, 30, 40), abs=6)
    assert image.getpixel((700, 700)) == pytest.approx((20, 200, 60), abs=6)


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"",
        b"\x89PNG\r\n\x1a\n broken",
        _encoded(Image.new("L", (9000, 9000)), "PNG").data,
        _encoded(Image.new("L", (20, 20)), "PNG").data,
        _encoded(Image.new("RGB", (600, 900)), "JPEG").data[:400],
    ],
    ids=["svg", "empty", "broken", "81 megapixels", "tiny", "cut off"],
)
def test_a_cover_that_cannot_be_used_gives_a_set_one(data: bytes) -> None:
    assert cover_jpeg("T", ["A"], Cover(data, "image/png")) == cover_jpeg("T", ["A"], None)


@pytest.mark.parametrize(
    ("title", "authors"),
    [
        ("Emma", ["Jane Austen"]),
        (
            "The Life and Strange Surprizing Adventures of Robinson Crusoe, of York, Mariner",
            ["Defoe"],
        ),
        ("Donaudampfschifffahrtsgesellschaftskapitän", []),
        ("word " * 900, ["name " * 500]),
        ("x" * 500, ["a", "b", "c", "d"]),
    ],
)
def test_any_title_is_set_inside_the_frame(title: str, authors: list[str]) -> None:
    image = np.asarray(_picture(cover_jpeg(title, authors, None)).convert("L"), np.int16)
    ground = int(image[20, 20])
    inside = np.abs(image[80:-80, 80:-80] - ground) > 60
    assert inside.any()
    assert not inside[:, :40].any() and not inside[:, -40:].any(), "type runs into the frame"
