"""Teacher speech: the pretrained voice `joe` reads our units, with exact alignments and its own latents.

The voice's ONNX file (VITS, exported by Piper; loaded from its declared package) is run directly: it is
given *our* phonemes mapped to its symbols, and two inner tensors are added as outputs: the phoneme
durations and the decoder's input. So every latent frame knows its unit, and nothing of Piper is imported.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from generation.codec.latent import DECODER_INPUT, voice_config, voice_model_path
from generation.script.units import BREAK_INDICES, PAUSE_INDICES, SYMBOLS, Pause

_DURATIONS = "/Ceil_output_0"
_PHONES = {
    "A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "æ": "æ", "ɑ": "ɑː", "ɔ": "ɔː", "ə": "ə",
    "ɛ": "ɛ", "ɝ": "ɜː", "ɚ": "ɚ", "ɪ": "ɪ", "i": "iː", "ʊ": "ʊ", "u": "uː", "ʌ": "ʌ", "ᵻ": "ᵻ", "ᵊ": "ə",
    "ʤ": "dʒ", "ʧ": "tʃ",
}  # fmt: skip
_STRESS_MARKS = {"0": "", "1": "ˈ", "2": "ˌ"}
_PAUSES = {
    Pause.COMMA: ",", Pause.SEMICOLON: ";", Pause.COLON: ":", Pause.DASH: ";", Pause.ELLIPSIS: ";",
    Pause.PERIOD: ".", Pause.QUESTION: "?", Pause.EXCLAMATION: "!", Pause.OPEN: ",",
}  # fmt: skip


@lru_cache(maxsize=512)
def teacher_symbols(symbol: str) -> str:
    """Map one of our units to the teacher's (espeak-style) symbols."""
    if symbol in _PAUSES:
        return _PAUSES[Pause(symbol)]
    if symbol[-1] in _STRESS_MARKS:
        vowel, stress = symbol[0], symbol[-1]
        phone = "i" if vowel == "i" and stress == "0" else _PHONES[vowel]
        return _STRESS_MARKS[stress] + phone
    return _PHONES.get(symbol, symbol)


@dataclass(frozen=True)
class Reading:
    """One sentence read by the teacher.

    `waveform` (N,) float32 at 22.05 kHz; `latents` (F, 192) float32, one per 256 samples; `lead` is the
    number of latent frames before the first unit; `durations` (U,) latent frames of each unit.
    """

    waveform: npt.NDArray[np.float32]
    latents: npt.NDArray[np.float32]
    lead: int
    durations: npt.NDArray[np.int32]


class Teacher:
    """The pretrained voice, asked for speech, latents and durations at once."""

    def __init__(self, threads: int = 1, seed: int = 0) -> None:
        model = onnx.load(str(voice_model_path()))
        for name in (DECODER_INPUT, _DURATIONS):
            model.graph.output.append(onnx.ValueInfoProto(name=name))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        onnxruntime.set_seed(seed)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._names = [output.name for output in self._session.get_outputs()]
        self._ids: dict[str, list[int]] = voice_config()["phoneme_id_map"]

    def read(
        self,
        units: Sequence[int],
        word_starts: Sequence[bool],
        noise: float = 0.333,
        length: float = 1.0,
        duration_noise: float = 0.8,
    ) -> Reading:
        """Read one sentence of unit indices; breaks (paragraph, scene) are not the teacher's to read."""
        if any(u in BREAK_INDICES for u in units):
            raise ValueError("breaks are laid between sentences, not read by the teacher")
        ids, owners = self._symbols(units, word_starts)
        outputs: list[Any] = self._session.run(
            None,
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array([noise, length, duration_noise], np.float32),
            },
        )
        named = dict(zip(self._names, outputs, strict=True))
        frames = named[_DURATIONS].reshape(-1).astype(np.int32)
        durations = np.zeros(len(units) + 1, np.int32)
        np.add.at(durations, np.array(owners) + 1, frames)
        return Reading(
            waveform=named["output"].reshape(-1),
            latents=np.ascontiguousarray(named[DECODER_INPUT][0].T),
            lead=int(durations[0]),
            durations=durations[1:],
        )

    def _symbols(
        self, units: Sequence[int], word_starts: Sequence[bool]
    ) -> tuple[list[int], list[int]]:
        """Lay out `^ _ a _ b _ … $`; return symbol ids and each one's unit (-1 before the first)."""
        pad = self._ids["_"][0]
        ids, owners = [self._ids["^"][0], pad], [-1, -1]
        for i, (unit, starts) in enumerate(zip(units, word_starts, strict=True)):
            if starts and i > 0:
                ids += [self._ids[" "][0], pad]
                owners += [i - 1, i - 1]
            for character in teacher_symbols(SYMBOLS[unit]):
                ids += [self._ids[character][0], pad]
                owners += [i, i]
        ids.append(self._ids["$"][0])
        owners.append(len(units) - 1)
        return ids, owners


def sentences(
    units: Iterable[int], word_starts: Iterable[bool]
) -> list[tuple[list[int], list[bool], list[int]]]:
    """Split a script into what the teacher reads at once: (units, word starts, breaks after them)."""
    out: list[tuple[list[int], list[bool], list[int]]] = []
    current: tuple[list[int], list[bool], list[int]] = ([], [], [])
    ended = False
    for unit, starts in zip(units, word_starts, strict=True):
        if unit in BREAK_INDICES:
            current[2].append(unit)
            ended = True
            continue
        if ended and unit not in PAUSE_INDICES:
            out.append(current)
            current, ended = ([], [], []), False
        current[0].append(unit)
        current[1].append(starts)
        if SYMBOLS[unit] in (Pause.PERIOD, Pause.QUESTION, Pause.EXCLAMATION):
            ended = True
    if current[0]:
        out.append(current)
    return out
