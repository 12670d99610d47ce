"""Writes and reads delivered audio: FLAC, MP3 and M4B with tags, cover and chapter marks, block by block.

Everything goes through PyAV (FFmpeg). Encoder delay is declared in each container (the LAME tag of
an MP3, the edit list of an M4B), so that a decoder's first sample is the master's first sample.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

from generation.mastering import spec
from generation.mastering.errors import MasteringError
from generation.rates import DELIVERY_RATE_HZ

Audio = NDArray[np.float32]

AUDIOBOOK_MEDIA_KIND = "2"
"""The value of iTunes' `stik` atom that files an M4B under audiobooks."""

GATHERED_SAMPLES = 1 << 16
"""How many samples `gathered` yields at once, at least."""

LAME_SCALE = 0.97
"""LAME softens what it encodes at 192 kbit/s by this factor (libmp3lame/presets.c, `abr_switch_map`)."""


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of delivered file: what FFmpeg calls its parts."""

    suffix: str
    media_type: str
    container: str
    codec: str
    sample_format: str
    bit_rate: int = 0
    options: tuple[tuple[str, str], ...] = ()  # of the container
    effort: tuple[tuple[str, str], ...] = ()  # of the encoder: what it spends on its search
    metadata: tuple[tuple[str, str], ...] = ()
    scale: float = 1.0  # what the encoder multiplies its input by; undone before it


FLAC = Format(".flac", "audio/flac", "flac", "flac", "s32")
"""24 bits, the archive and the source of the other files."""

MP3 = Format(
    ".mp3",
    "audio/mpeg",
    "mp3",
    "libmp3lame",
    "fltp",
    spec.MP3_BIT_RATE,
    (("id3v2_version", "3"),),
    (("compression_level", "7"),),
    scale=LAME_SCALE,
)
M4B = Format(
    ".m4b",
    "audio/mp4",
    "mp4",
    "aac",
    "fltp",
    96_000,
    (("brand", "M4B "), ("movflags", "+faststart")),
    (("aac_coder", "fast"),),
    (("media_type", AUDIOBOOK_MEDIA_KIND),),
)


_ISO_639_2 = {
    "cs": "ces", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "es": "spa", "fi": "fin",
    "fr": "fra", "hu": "hun", "it": "ita", "ja": "jpn", "ko": "kor", "la": "lat", "nb": "nob",
    "nl": "nld", "nn": "nno", "no": "nor", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus",
    "sk": "slk", "sv": "swe", "tr": "tur", "uk": "ukr", "zh": "zho",
}  # fmt: skip


def iso_639_2(language: str) -> str:
    """Return the three-letter code that ID3 and MP4 want for a BCP 47 tag; "und" where none is known."""
    primary = language.partition("-")[0].lower()
    return primary if len(primary) == 3 else _ISO_639_2.get(primary, "und")


@dataclass(frozen=True, slots=True)
class Tags:
    """What a file says of itself; empty fields are left out.

    The narrator goes where players look for one in an audiobook: the composer.
    """

    title: str = ""
    album: str = ""
    authors: str = ""
    narrator: str = ""
    disclosure: str = ""
    language: str = ""
    publisher: str = ""
    published: str = ""
    copyright: str = ""
    description: str = ""
    track: str = ""

    def fields(self) -> dict[str, str]:
        """Return the tags under FFmpeg's names."""
        named = {
            "title": self.title,
            "album": self.album,
            "artist": self.authors,
            "album_artist": self.authors,
            "composer": self.narrator,
            "genre": "Audiobook" if self.title else "",
            "date": self.published,
            "track": self.track,
            "language": iso_639_2(self.language) if self.language else "",
            "publisher": self.publisher,
            "copyright": self.copyright,
            "comment": self.disclosure,
            "description": self.description,
        }
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class Mark:
    """A chapter mark: its title and its samples [start, end) at `DELIVERY_RATE_HZ`."""

    title: str
    start: int
    end: int


class AudioWriter:
    """Encodes a mono stream at `DELIVERY_RATE_HZ` into one file; a context manager.

    Parameters
    ----------
    path : Path
        Where to write; replaced if it is there.
    kind : Format
        `FLAC`, `MP3` or `M4B`.
    tags : Tags
    cover : bytes
        A JPEG; none where empty.
    marks : sequence of Mark
        Chapter marks; they must be known before the first sample is written.
    """

    def __init__(
        self, path: Path, kind: Format, tags: Tags, cover: bytes, marks: Sequence[Mark] = ()
    ) -> None:
        self._kind = kind
        self._written = 0
        self._container: Any = av.open(
            str(path), "w", format=kind.container, options=dict(kind.options)
        )
        self._container.metadata.update({**tags.fields(), **dict(kind.metadata)})
        self._stream: Any = self._container.add_stream(
            kind.codec,
            rate=DELIVERY_RATE_HZ,
            layout="mono",
            format=kind.sample_format,
            options=dict(kind.effort),
        )
        self._stream.time_base = Fraction(1, DELIVERY_RATE_HZ)
        self._stream.metadata["language"] = iso_639_2(tags.language)
        if kind.bit_rate:
            self._stream.bit_rate = kind.bit_rate
        if marks:
            self._container.set_chapters([_chapter(i, mark) for i, mark in enumerate(marks)])
        if cover:
            _attach(self._container, cover)

    def write(self, audio: Audio) -> None:
        """Encode the next samples, shape (samples,), float32 within ±1."""
        if not len(audio):
            return
        frame = av.AudioFrame.from_ndarray(self._as_frame(audio), self._kind.sample_format, "mono")
        frame.sample_rate = DELIVERY_RATE_HZ
        frame.time_base = Fraction(1, DELIVERY_RATE_HZ)
        frame.pts = self._written
        self._written += len(audio)
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def _as_frame(self, audio: Audio) -> NDArray[Any]:
        if self._kind.sample_format == "fltp":
            return np.ascontiguousarray(audio[None] / np.float32(self._kind.scale), np.float32)
        scaled = np.clip(np.rint(audio.astype(np.float64) * (1 << 23)), -(1 << 23), (1 << 23) - 1)
        return (scaled.astype(np.int32) << 8)[None]


def tagged(source: Path, path: Path, kind: Format, tags: Tags, cover: bytes) -> None:
    """Copy an encoded file's audio, packet by packet, into one that has tags and a cover."""
    with (
        av.open(str(source)) as held,
        av.open(str(path), "w", format=kind.container, options=dict(kind.options)) as container,
    ):
        container.metadata.update({**tags.fields(), **dict(kind.metadata)})
        sound = held.streams.audio[0]
        stream: Any = container.add_stream_from_template(sound)
        _attach(container, cover)
        for packet in held.demux(sound):
            if packet.size:
                packet.stream = stream
                container.mux(packet)


def _attach(container: Any, cover: bytes) -> None:
    with av.open(BytesIO(cover), format="jpeg_pipe") as image:
        stream: Any = container.add_stream_from_template(image.streams.video[0])
        stream.disposition = av.stream.Disposition.attached_pic
        stream.metadata.update({"title": "Cover", "comment": "Cover (front)"})
        packet = next(packet for packet in image.demux() if packet.size)
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        container.start_encoding()
        container.mux(packet)


def gathered(blocks: Iterable[Audio]) -> Iterator[Audio]:
    """Join small blocks into larger ones, for speed."""
    held: list[Audio] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= GATHERED_SAMPLES:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def read_audio(path: Path) -> Iterator[Audio]:
    """Yield a delivered file's samples block by block, float32, as a player decodes them.

    Raises
    ------
    MasteringError
        The file holds no mono audio at `DELIVERY_RATE_HZ`.
    """
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        if (stream.rate, stream.channels) != (DELIVERY_RATE_HZ, 1):
            raise MasteringError(
                f"{path} has {stream.channels} channels at {stream.rate} Hz, not one at {DELIVERY_RATE_HZ}"
            )
        for frame in container.decode(stream):
            samples = frame.to_ndarray().reshape(-1)
            if samples.dtype == np.int32:
                yield (samples * (1 / (1 << 31))).astype(np.float32)
            else:
                yield samples.astype(np.float32, copy=False)


def _chapter(index: int, mark: Mark) -> dict[str, Any]:
    return {
        "id": index,
        "start": mark.start,
        "end": mark.end,
        "time_base": Fraction(1, DELIVERY_RATE_HZ),
        "metadata": {"title": mark.title},
    }
