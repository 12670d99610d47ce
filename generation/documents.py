"""What is kept between the steps of a narration, as bytes and back: scripts, readings, snapshots, sound.

The same thing gives the same bytes, so that digests agree wherever it was made. Nothing here knows where
the bytes are kept.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from generation.errors import NarrationError
from generation.manuscript.book import Place
from generation.rates import SAMPLE_RATE_HZ
from generation.script.units import SYMBOLS, Script, Unit, Word
from generation.speechssm.reading import Snapshot

SCRIPT_FORMAT = "lectern-script-1"

SOUND_SUBTYPE = "PCM_24"
"""Windows are kept as FLAC of 24 bits: rounding is 144 dB below full scale, and any player plays them."""


@dataclass(frozen=True)
class Tokens:
    """A window as read: `tokens` and `pointer` (T,) int64, the pointer in units of the chapter's script.

    `forced` counts advances that had to be forced; `complete` is False where the reading was given up.
    """

    tokens: npt.NDArray[np.int64]
    pointer: npt.NDArray[np.int64]
    forced: int = 0
    complete: bool = True


def script_bytes(script: Script) -> bytes:
    """Write a script as JSON."""
    written = {
        "format": SCRIPT_FORMAT,
        "title": script.title,
        "units": [[unit.index, unit.word, int(unit.word_start)] for unit in script.units],
        "words": [
            [
                w.text,
                w.spoken,
                w.place.document,
                w.place.node,
                w.place.start,
                w.place.end,
                w.guessed,
            ]
            for w in script.words
        ],
    }
    return json.dumps(written, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def read_script(data: bytes) -> Script:
    """Read a script back; raises NarrationError where it is none of this version's."""
    try:
        written = json.loads(data)
        if written["format"] != SCRIPT_FORMAT:
            raise ValueError(f"its format is {written['format']!r}")
        units = (Unit(SYMBOLS[i], word, bool(start)) for i, word, start in written["units"])
        words = (
            Word(text, spoken, Place(document, node, start, end), guessed)
            for text, spoken, document, node, start, end, guessed in written["words"]
        )
        return Script(written["title"], tuple(units), tuple(words))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise NarrationError(
            f"the script cannot be read ({error}): it was made by another version of Lectern; "
            "submit the book again"
        ) from error


def tokens_bytes(tokens: Tokens) -> bytes:
    """Write a window's reading as safetensors."""
    return save(
        {
            "tokens": torch.from_numpy(tokens.tokens.astype(np.int32)),
            "pointer": torch.from_numpy(tokens.pointer.astype(np.int32)),
            "forced": torch.tensor(tokens.forced, dtype=torch.int32),
            "complete": torch.tensor(tokens.complete),
        }
    )


def read_tokens(data: bytes) -> Tokens:
    """Read a window's reading back; raises NarrationError where it is none."""
    parts = _tensors(data, "reading")
    if set(parts) != {"tokens", "pointer", "forced", "complete"}:
        raise NarrationError(f"the reading holds {sorted(parts)}: read the window again")
    return Tokens(
        parts["tokens"].numpy().astype(np.int64),
        parts["pointer"].numpy().astype(np.int64),
        int(parts["forced"]),
        bool(parts["complete"]),
    )


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    """Write a snapshot as safetensors."""
    return save({name: part.contiguous() for name, part in snapshot.to_tensors().items()})


def read_snapshot(data: bytes) -> Snapshot:
    """Read a snapshot back; raises NarrationError where parts are missing or strange."""
    return Snapshot.from_tensors(_tensors(data, "snapshot"))


def sound_bytes(waveform: npt.NDArray[np.float32]) -> bytes:
    """Write a waveform (N,) at 22.05 kHz as FLAC; what is beyond full scale is clipped."""
    file = BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE_HZ, format="FLAC", subtype=SOUND_SUBTYPE)
    return file.getvalue()


def read_sound(data: bytes) -> npt.NDArray[np.float32]:
    """Read a waveform (N,) back; raises NarrationError where it is no sound of Lectern's."""
    try:
        waveform, rate_hz = soundfile.read(BytesIO(data), dtype="float32")
    except soundfile.SoundFileError as error:
        raise NarrationError(f"a window's sound cannot be read: {error}") from error
    if rate_hz != SAMPLE_RATE_HZ or waveform.ndim != 1:
        raise NarrationError(f"a window's sound is {rate_hz} Hz, not mono at {SAMPLE_RATE_HZ} Hz")
    sound: npt.NDArray[np.float32] = waveform
    return sound


def _tensors(data: bytes, what: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = load(data)
    except SafetensorError as error:
        raise NarrationError(f"the {what} cannot be read ({error})") from error
    return found
