"""Teacher passages: a chapter's script read by the teacher into arrays that all later trainings share.

A passage is some minutes of one chapter, sentence after sentence with pauses between, as (units, pointer
per token, latents, token features). Breaks are laid by the lengths a narrator gives them.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from generation.codec.latent import LATENT_DIM, LATENT_HOP_SAMPLES
from generation.rates import SAMPLE_RATE_HZ, TOKEN_SAMPLES
from generation.script import write_script
from generation.script.units import INDEX, Pause
from generation.tokenizer.features import TokenFeatures, extract
from generation.training.heldout import split_chapters
from generation.training.teacher import Reading, Teacher, sentences

_LATENTS_PER_TOKEN = TOKEN_SAMPLES // LATENT_HOP_SAMPLES
_LATENT_RATE_HZ = SAMPLE_RATE_HZ / LATENT_HOP_SAMPLES

SENTENCE_PAUSE_S = (0.42, 0.08)
BREAK_S = {
    INDEX[Pause.PARAGRAPH]: (0.40, 0.08),
    INDEX[Pause.HEADING]: (0.75, 0.10),
    INDEX[Pause.SCENE]: (1.30, 0.15),
    INDEX[Pause.CHAPTER]: (0.60, 0.05),
}
"""Mean and spread of the silence a break adds to the sentence pause before it, in seconds."""

_QUIET_RMS = 0.0015
NOISE_RANGE = (0.05, 0.2)
"""The teacher's noise scale, drawn for each passage: the less, the surer the codes (docs/voices.md)."""
LENGTH_RANGE = (1.0, 1.1)
PASSAGE_UNITS = 3_500
"""Units of a passage: about four and a half minutes."""


@dataclass(frozen=True)
class Passage:
    """Aligned teacher speech of T tokens.

    `units` (U,) indices; `word_starts` (U,); `pointer` (T,) unit of each token; `latents`
    (T * 4, 192) float16; `features` of the T tokens; `waveform` (T * 1024,) or empty.
    """

    units: npt.NDArray[np.int16]
    word_starts: npt.NDArray[np.bool_]
    pointer: npt.NDArray[np.int32]
    latents: npt.NDArray[np.float16]
    features: TokenFeatures
    waveform: npt.NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write the passage (without its waveform) to an `.npz` file, whole or not at all."""
        partial = path.with_suffix(".part.npz")
        np.savez(
            partial,
            units=self.units,
            word_starts=self.word_starts,
            pointer=self.pointer,
            latents=self.latents,
            encoder=self.features.encoder.astype(np.float16),
            log_pitch=self.features.log_pitch,
            voicing=self.features.voicing,
            energy=self.features.energy,
        )
        partial.rename(path)


def load_passage(path: Path) -> Passage:
    """Read a passage written by `Passage.save`."""
    with np.load(path) as data:
        features = TokenFeatures(
            data["encoder"].astype(np.float32), data["log_pitch"], data["voicing"], data["energy"]
        )
        return Passage(
            data["units"], data["word_starts"], data["pointer"], data["latents"], features,
            np.zeros(0, np.float32),
        )  # fmt: skip


def read_passage(
    teacher: Teacher,
    units: Sequence[int],
    word_starts: Sequence[bool],
    rng: np.random.Generator,
    silence: "SilencePool",
) -> Passage:
    """Have the teacher read a stretch of script, sentence by sentence, breaks laid between."""
    noise, length = rng.uniform(*NOISE_RANGE), rng.uniform(*LENGTH_RANGE)
    owned: list[int] = []
    waves: list[npt.NDArray[np.float32]] = []
    latents: list[npt.NDArray[np.float32]] = []
    all_units: list[int] = []
    starts: list[bool] = []
    for sentence, sentence_starts, breaks in sentences(units, word_starts):
        reading = teacher.read(sentence, sentence_starts, noise=noise, length=length)
        silence.learn(reading)
        base = len(all_units)
        owners = [max(base - 1, 0)] * reading.lead
        owners += np.repeat(np.arange(base, base + len(sentence)), reading.durations).tolist()
        all_units += sentence
        starts += sentence_starts
        waves.append(reading.waveform)
        latents.append(reading.latents)
        mean, spread = SENTENCE_PAUSE_S
        laid = [
            (len(all_units) - 1, rng.normal(mean, spread) - reading.durations[-1] / _LATENT_RATE_HZ)
        ]
        for unit in breaks:
            all_units.append(unit)
            starts.append(False)
            laid.append((len(all_units) - 1, rng.normal(*BREAK_S[unit])))
        for owner, seconds in laid:
            frames = max(int(seconds * _LATENT_RATE_HZ), 0)
            if frames:
                wave, latent = silence.draw(frames, rng)
                waves.append(wave)
                latents.append(latent)
                owners += [owner] * frames
        owned += owners
    wave, latent = np.concatenate(waves), np.concatenate(latents)
    tokens = len(latent) // _LATENTS_PER_TOKEN
    middle = np.arange(tokens) * _LATENTS_PER_TOKEN + _LATENTS_PER_TOKEN // 2
    wave = np.clip(wave[: tokens * TOKEN_SAMPLES], -1, 1)
    return Passage(
        units=np.array(all_units, np.int16),
        word_starts=np.array(starts, np.bool_),
        pointer=np.array(owned, np.int32)[middle],
        latents=latent[: tokens * _LATENTS_PER_TOKEN].astype(np.float16),
        features=extract(wave),
        waveform=wave,
    )


class SilencePool:
    """Latents of the teacher's own silences, drawn again to make longer ones."""

    def __init__(self, capacity: int = 400) -> None:
        self._runs: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]] = []
        self._capacity = capacity

    def learn(self, reading: Reading) -> None:
        """Keep the quiet end of a sentence, where there is one."""
        frames = reading.waveform.reshape(-1, LATENT_HOP_SAMPLES)
        loud = np.flatnonzero(np.sqrt((frames**2).mean(1)) > _QUIET_RMS)
        first = int(loud[-1]) + 3 if len(loud) else len(frames)
        if len(frames) - 2 - first >= 3 and len(self._runs) < self._capacity:
            run = slice(first, len(frames) - 2)
            self._runs.append((frames[run].reshape(-1), reading.latents[run]))

    def draw(
        self, frames: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return (waveform, latents) of `frames` latent frames of silence."""
        waves, latents, count = (
            [np.zeros(0, np.float32)],
            [np.zeros((0, LATENT_DIM), np.float32)],
            0,
        )
        while count < frames:
            if not self._runs:
                raise ValueError("the teacher has not paused yet: no silence to draw from")
            wave, latent = self._runs[int(rng.integers(len(self._runs)))]
            take = min(frames - count, len(latent))
            waves.append(wave[: take * LATENT_HOP_SAMPLES])
            latents.append(latent[:take])
            count += take
        return np.concatenate(waves), np.concatenate(latents)


def split_passages(
    units: Sequence[int], word_starts: Sequence[bool], max_units: int
) -> Iterator[tuple[list[int], list[bool]]]:
    """Cut a chapter's units into passages of at most about `max_units`, between sentences."""
    part: tuple[list[int], list[bool]] = ([], [])
    for sentence, starts, breaks in sentences(units, word_starts):
        if part[0] and len(part[0]) + len(sentence) > max_units:
            yield part
            part = ([], [])
        part[0].extend([*sentence, *breaks])
        part[1].extend([*starts, *([False] * len(breaks))])
    if part[0]:
        yield part


def book_passages(book: Path, max_units: int) -> Iterator[tuple[list[int], list[bool]]]:
    """Cut the chapters of a book that may be trained on into passages (units, word starts)."""
    for chapter in split_chapters(book)[0]:
        script = write_script(chapter)
        units = [unit.index for unit in script.units]
        yield from split_passages(units, [unit.word_start for unit in script.units], max_units)


def main() -> None:
    """Make passages from the command line; those that `--out` holds already are left as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("books", type=Path, nargs="+", help="books that the held-out list names")
    parser.add_argument("--out", type=Path, required=True, help="folder of the passages")
    parser.add_argument("--hours", type=float, default=1e9, help="stop after so much speech")
    parser.add_argument("--part", default="1/1", help="this process's share of the work, as 2/3")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    part, parts = (int(number) for number in args.part.split("/"))
    args.out.mkdir(parents=True, exist_ok=True)
    teacher, silence = Teacher(args.threads, seed=part), SilencePool()
    rows = zip_longest(*(book_passages(book, PASSAGE_UNITS) for book in args.books))
    made_s = 0.0
    for number, passage in enumerate(p for p in chain.from_iterable(rows) if p is not None):
        path = args.out / f"{number:05}.npz"
        if number % parts != part - 1 or path.exists():
            continue
        if made_s > args.hours * 3600:
            break
        units, starts = passage
        read = read_passage(teacher, units, starts, np.random.default_rng([number]), silence)
        read.save(path)
        made_s += len(read.waveform) / SAMPLE_RATE_HZ
        print(f"{path.name}: {made_s / 3600:.2f} h", flush=True)


if __name__ == "__main__":
    main()
