"""`lectern bench repair`: failing windows are read again, and judged by what chose nothing.

Windows of held-out text are read once. Those that the choosing measures fail are the natural failures; into
others a failure is put: a third of the words cut out or said twice, or all of it in another
voice. All go through `qa.repair.decide` until a take is kept. A window counts as failing, before and after,
when Moonshine's words lie outside what 95 % of the first takes without a fault have, and, where the voice was
at fault, when the mean cepstrum or the median pitch does: another reading of the same words has much the same
spectrum, and cannot mend what was not wrong. How many lie outside any of the three is counted beside it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from flows.measure.heldout import passages
from generation.engine import ChapterJob, Engine, WindowRead
from generation.mastering.chapter import SpokenWord
from generation.narration import LANES, ChapterPlan, plan_chapter, spoken_words
from generation.rates import SAMPLE_RATE_HZ
from generation.rendering import Renderer
from generation.voices import Cast
from qa.audio import Audio, as_audio
from qa.repair import Action, Decision, decide, faults
from qa.speaker import embed
from qa.takes import Proof, TakeScore, prove_take, score_take
from qa.thresholds import Thresholds

Say = Callable[[str], None]
Wave = npt.NDArray[np.float32]

NATURAL = "natural"
KINDS = ("skipped", "said twice", "another voice")
"""What is put into windows that had no fault."""

TARGETS = {NATURAL: 1 / 2, "injected": 1 / 4}
"""Windows that fail after repair, over those that failed before."""

_USUAL = 95  # per cent of the first takes without a fault
_SHARE = 1 / 3  # of a window's words that are cut out or said twice
_FADE_S = 0.01


@dataclass(frozen=True)
class ProofLimits:
    """What 95 % of the first takes without a fault keep to; see `qa.takes.Proof`."""

    word_error_rate: float
    spectrum_distance: float
    pitch_semitones: float

    @classmethod
    def of(cls, proofs: Sequence[Proof]) -> "ProofLimits":
        """Take the limits from the proofs of windows that passed."""
        usual = (
            np.nanpercentile([abs(getattr(proof, name)) for proof in proofs], _USUAL)
            for name in ("word_error_rate", "spectrum_distance", "pitch_semitones")
        )
        return cls(*map(float, usual))

    def fails(self, proof: Proof, voice: bool = True) -> bool:
        """Tell whether a take lies outside a limit, those of the voice asked too; what is no number does."""
        words = not proof.word_error_rate <= self.word_error_rate
        return words or (voice and not self._sounds_usual(proof))

    def _sounds_usual(self, proof: Proof) -> bool:
        return (
            proof.spectrum_distance <= self.spectrum_distance
            and abs(proof.pitch_semitones) <= self.pitch_semitones
        )


@dataclass(frozen=True)
class Repaired:
    """One window: what was wrong with it, what was decided, and what proves it before and after."""

    kind: str
    chapter: int
    number: int
    fault: str
    decision: Decision
    before: Proof
    after: Proof

    @property
    def voice(self) -> bool:
        """Whether its voice was at fault."""
        likeness = self.decision.scores[0].similarity
        return likeness is not None and likeness < Thresholds().take_similarity_least


@dataclass(frozen=True)
class Outcome:
    """All windows of a kind: how many failed by the proving measures before and after.

    `unusual_before` and `unusual_after` count those outside any of the three limits, whatever was at fault.
    """

    windows: int
    failing_before: int
    failing_after: int
    unusual_before: int
    unusual_after: int
    kept_without_fault: int
    takes: float
    word_error_rate_before: float
    word_error_rate_after: float

    @property
    def left(self) -> float:
        """Failing after over failing before."""
        return self.failing_after / max(1, self.failing_before)


@dataclass(frozen=True)
class Bench:
    """The whole run."""

    read: int
    limits: ProofLimits
    windows: tuple[Repaired, ...]

    def outcome(self, kinds: Iterable[str]) -> Outcome:
        """Sum up the windows of some kinds."""
        mine = [one for one in self.windows if one.kind in set(kinds)]
        return Outcome(
            windows=len(mine),
            failing_before=sum(self.limits.fails(one.before, one.voice) for one in mine),
            failing_after=sum(self.limits.fails(one.after, one.voice) for one in mine),
            unusual_before=sum(self.limits.fails(one.before) for one in mine),
            unusual_after=sum(self.limits.fails(one.after) for one in mine),
            kept_without_fault=sum(one.decision.action is Action.ACCEPT for one in mine),
            takes=fmean([len(one.decision.scores) for one in mine] or [0.0]),
            word_error_rate_before=fmean([one.before.word_error_rate for one in mine] or [0.0]),
            word_error_rate_after=fmean([one.after.word_error_rate for one in mine] or [0.0]),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it, the sums first."""
        outcomes = {NATURAL: self.outcome([NATURAL]), "injected": self.outcome(KINDS)}
        outcomes |= {kind: self.outcome([kind]) for kind in KINDS}
        return {
            "passes": all(outcomes[name].left <= most for name, most in TARGETS.items()),
            "read": self.read,
            "limits": asdict(self.limits),
            **{name: {**asdict(one), "left": one.left} for name, one in outcomes.items()},
            "windows": [asdict(one) for one in self.windows],
        }


@dataclass(frozen=True)
class SpokenWindow:
    """A window as it was read and rendered."""

    plan: ChapterPlan
    read: WindowRead
    wave: Wave

    @property
    def key(self) -> str:
        """Chapter and window."""
        return f"{self.plan.job.key} {self.read.window.number}"

    @property
    def words(self) -> list[SpokenWord]:
        """What it says, word by word."""
        return spoken_words(self.plan.script, self.read.window, self.read.reading)

    @property
    def text(self) -> str:
        """What it says."""
        return " ".join(word.text for word in self.words)


@dataclass
class _Case:
    kind: str
    window: SpokenWindow
    wave: Wave
    fault: str
    scores: list[TakeScore]
    waves: list[Wave]
    decision: Decision


class Judge:
    """Measures takes with the prompt at hand."""

    def __init__(self, cast: Cast) -> None:
        sound = cast.renderer.codec.decode(cast.renderer.prompt.codes, 0)
        self.prompt, self.limits = as_audio(sound, SAMPLE_RATE_HZ), Thresholds()
        self._embedding = embed(self.prompt)
        self._proofs: dict[int, tuple[Wave, Proof]] = {}

    def score(self, wave: Wave, text: str) -> TakeScore:
        """Measure what may choose a take."""
        return score_take(_audio(wave), text, self._embedding, self.limits)

    def prove(self, wave: Wave, text: str) -> Proof:
        """Prove a take once; the sound is kept, so that its identity stays its own."""
        if id(wave) not in self._proofs:
            self._proofs[id(wave)] = wave, prove_take(_audio(wave), text, self.prompt)
        return self._proofs[id(wave)][1]


def run(
    cast: Cast,
    other: Cast,
    books: Sequence[Path],
    words: int,
    injected: int,
    seed: int = 0,
    say: Say = lambda line: None,
) -> Bench:
    """Read held-out text, damage some windows, and repair what fails.

    Parameters
    ----------
    cast, other
        The voice, and another one for windows in another voice.
    books, words
        As `lectern evaluate`.
    injected
        How many windows get a failure.
    seed
        Of the readings and the damages.

    Raises
    ------
    LecternError
        A book cannot be used.
    """
    judge, engine = Judge(cast), Engine(cast.reader, cast.renderer, LANES)
    say("reading every window once")
    plans = [plan_chapter(p.chapter, cast.prompt_digest, seed) for p in passages(books, words)]
    by_key = {plan.job.key: plan for plan in plans}
    reads = [(by_key[read.key], read) for read in engine.read(plan.job for plan in plans)]
    windows = list(rendered(cast.renderer, reads))
    say(f"judging {len(windows)} windows")
    scored = [(window, judge.score(window.wave, window.text)) for window in windows]
    good = [window for window, score in scored if not faults(score, judge.limits)]
    limits = ProofLimits.of([judge.prove(window.wave, window.text) for window in good])
    cases = [_case(NATURAL, w, w.wave, judge) for w, s in scored if faults(s, judge.limits)]
    say(f"{len(cases)} windows fail by themselves; putting {injected} failures into others")
    rng = np.random.default_rng(seed)
    for kind, window in _spread(good, injected):
        damaged = _damaged(kind, window, other, rng)
        cases.append(_case(kind, window, damaged, judge))
    _repair(cases, engine, cast.renderer, judge, say)
    say("proving")
    return Bench(len(windows), limits, tuple(_proved(case, judge) for case in cases))


def _spread(good: Sequence[SpokenWindow], injected: int) -> Iterator[tuple[str, SpokenWindow]]:
    """Pair windows over the whole text with the kinds of failure in turn; with many, each gets several."""
    places = np.linspace(0, len(good) - 1e-9, injected, endpoint=False).astype(int)
    for place, at in enumerate(places):
        yield KINDS[place % len(KINDS)], good[at]


def rendered(
    renderer: Renderer, reads: Sequence[tuple[ChapterPlan, WindowRead]]
) -> Iterator[SpokenWindow]:
    """Render windows that were read."""
    waves = dict(renderer.render([read.reading for _, read in reads]))
    for index, (plan, read) in enumerate(reads):
        yield SpokenWindow(plan, read, waves[index])


def _case(kind: str, window: SpokenWindow, wave: Wave, judge: Judge) -> _Case:
    score = judge.score(wave, window.text)
    decision = decide([score], judge.limits)
    fault = "; ".join(faults(score, judge.limits))
    return _Case(kind, window, wave, fault, [score], [wave], decision)


def _damaged(kind: str, window: SpokenWindow, other: Cast, rng: np.random.Generator) -> Wave:
    """Put a failure into a window."""
    if kind == "another voice":
        return next(iter(other.renderer.render([window.read.reading])))[1]
    words = window.words
    count = max(1, round(_SHARE * len(words)))
    first = int(rng.integers(0, len(words) - count + 1))
    begin, end = (round(t * SAMPLE_RATE_HZ) for t in _span(words, first, count))
    before, inside, after = window.wave[:begin], window.wave[begin:end], window.wave[end:]
    parts = [before, after] if kind == "skipped" else [before, inside, inside, after]
    return _joined([part for part in parts if len(part)])


def _span(words: Sequence[SpokenWord], first: int, count: int) -> tuple[float, float]:
    return words[first].start_s, words[first + count - 1].end_s


def _joined(parts: Sequence[Wave]) -> Wave:
    fade = round(_FADE_S * SAMPLE_RATE_HZ)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    pieces = []
    for place, part in enumerate(parts):
        piece = part.copy()
        if place and len(piece) > fade:
            piece[:fade] *= ramp
        if place < len(parts) - 1 and len(piece) > fade:
            piece[-fade:] *= ramp[::-1]
        pieces.append(piece)
    return np.concatenate(pieces)


def _repair(
    cases: Sequence[_Case], engine: Engine, renderer: Renderer, judge: Judge, say: Say
) -> None:
    """Read failing windows again, all of a round together, until each is decided.

    The same take of a window is the same sound, whatever was wrong before: it is made once.
    """
    while open_cases := [case for case in cases if case.decision.action is Action.AGAIN]:
        by_key = {case.window.key: case for case in open_cases}
        say(f"reading {len(by_key)} windows again, for {len(open_cases)} failures")
        jobs = [_job(key, case) for key, case in by_key.items()]
        reads = [(by_key[read.key].window.plan, read) for read in engine.read(jobs)]
        takes = {}
        for window in rendered(renderer, reads):
            text = by_key[window.read.key].window.text
            takes[window.read.key] = window.wave, judge.score(window.wave, text)
        for case in open_cases:
            wave, score = takes[case.window.key]
            case.waves.append(wave)
            case.scores.append(score)
            case.decision = decide(case.scores, judge.limits)


def _job(key: str, case: _Case) -> ChapterJob:
    """Make the engine's job of another take of a window."""
    read = case.window.read
    number = read.window.number
    return replace(
        case.window.plan.job,
        key=key,
        windows=case.window.plan.job.windows[: number + 1],
        take=len(case.scores) + 1,
        first=number,
        snapshot=read.entry,
    )


def _proved(case: _Case, judge: Judge) -> Repaired:
    kept = case.waves[(case.decision.take or len(case.waves)) - 1]
    window, text = case.window, case.window.text
    before = judge.prove(case.wave, text)
    after = judge.prove(kept, text)
    number = window.read.window.number
    return Repaired(
        case.kind, window.plan.chapter.number, number, case.fault, case.decision, before, after
    )


def _audio(wave: Wave) -> Audio:
    return as_audio(wave, SAMPLE_RATE_HZ)
