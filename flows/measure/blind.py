"""`lectern compare`: two sets of weights on one page that does not say which is which.

Both read and speak the same held-out passages. A page (an HTML file and its clips) plays them in pairs at one
loudness, in an order drawn for each pair, takes the votes, and only then says whose they were, with the
chance of so uneven a vote between equals (two-sided sign test; ties count for nobody).
"""

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined

from flows.measure.heldout import passages
from generation.engine import Engine
from generation.errors import NarrationError
from generation.mastering.loudness import LoudnessMeter
from generation.narration import LANES, plan_chapter, spoken_words
from generation.rates import SAMPLE_RATE_HZ
from generation.voices import Cast

Floats = npt.NDArray[np.float32]

LOUDNESS_LUFS = -23.0
WORDS_A_PASSAGE = 60

Report = Callable[[str], None]


@dataclass(frozen=True)
class Pair:
    """One passage by both: its words, and the sound (N,) at 22.05 kHz of ours and of theirs."""

    text: str
    ours: Floats
    theirs: Floats


def spoken_pairs(
    ours: Cast,
    theirs: Cast,
    books: Sequence[Path],
    count: int,
    seed: int = 0,
    report: Report = lambda step: None,
) -> list[Pair]:
    """Have both read the first window of `count` held-out passages.

    Raises
    ------
    LecternError
        The books are not in the frozen list, or hold too few passages.
    """
    chapters = [p.chapter for p in passages(books, count * WORDS_A_PASSAGE * len(books))][:count]
    if len(chapters) < count:
        raise NarrationError(f"the books hold {len(chapters)} passages kept out: ask for so many")
    pairs = []
    for chapter in chapters:
        report(f"reading {chapter.title!r} twice")
        plan = plan_chapter(chapter, "compare", seed)
        said = []
        for cast in (ours, theirs):
            (sound,) = islice(Engine(cast.reader, cast.renderer, LANES).narrate([plan.opening]), 1)
            said.append(sound)
        words = spoken_words(plan.script, said[0].read.window, said[0].read.reading)
        text = " ".join(word.text for word in words)
        pairs.append(Pair(text, said[0].waveform, said[1].waveform))
    return pairs


def write_page(pairs: Sequence[Pair], names: tuple[str, str], out: Path, seed: int = 0) -> Path:
    """Write the page and its clips.

    Parameters
    ----------
    pairs
        What is compared.
    names
        What ours and theirs are called when the votes are in.
    out
        Folder; the page is ``index.html`` in it.
    seed
        Decides the order in each pair.
    """
    rng = np.random.default_rng(seed)
    (out / "clips").mkdir(parents=True, exist_ok=True)
    shown, key = [], []
    for number, pair in enumerate(pairs, 1):
        swapped = bool(rng.integers(2))
        sounds = (pair.theirs, pair.ours) if swapped else (pair.ours, pair.theirs)
        clips = []
        for letter, sound in zip("ab", sounds, strict=True):
            clips.append(f"clips/{number:02d}{letter}.flac")
            soundfile.write(out / clips[-1], levelled(sound), SAMPLE_RATE_HZ)
        shown.append({"text": pair.text, "clips": clips})
        key.append([1, 0] if swapped else [0, 1])
    hidden = b64encode(json.dumps({"names": names, "key": key}).encode("utf-8")).decode("ascii")
    templates = Environment(
        loader=PackageLoader("flows.measure", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    page = out / "index.html"
    page.write_text(
        templates.get_template("compare.html").render(pairs=shown, hidden=hidden), "utf-8"
    )
    return page


def levelled(sound: Floats) -> Floats:
    """Bring a clip to `LOUDNESS_LUFS`, or as near as its peaks allow."""
    meter = LoudnessMeter(SAMPLE_RATE_HZ)
    meter.push(sound)
    peak = max(float(np.abs(sound).max(initial=0.0)), 1e-6)
    loudness = meter.integrated()
    gain = 10 ** ((LOUDNESS_LUFS - loudness) / 20) if np.isfinite(loudness) else 1.0
    return np.asarray(sound * min(gain, 0.99 / peak), np.float32)
