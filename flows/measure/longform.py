"""`lectern continue` and `lectern longform run`: recordings continued without text, and how that holds up.

A run takes long examples in LibriSpeech-Long's layout, continues each from its first 10 s for as long as the
example lasts, and scores the real and the continued recordings alike.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from flows.measure.longform_layout import LongExample
from flows.measure.longform_scores import Scores, repeated_tokens, score
from generation.errors import VoicePromptError
from generation.longform.continuation import LEAST_PROMPT_S, Continuation, prompt_seed
from generation.longform.endless import Ints, endless_tokens
from generation.longform.model import TextlessSpeech
from generation.longform.perplexity import perplexity, token_losses
from generation.longform.windows import render_stream
from generation.rates import SAMPLE_RATE_HZ, samples_to_s, tokens_in, tokens_to_s
from generation.rendering import Renderer
from generation.tokenizer.model import Tokenizer
from qa.audio import Audio, read_audio, resampled
from qa.speaker import Embeddings, embed

PROMPT_S = 10.0
"""What of an example is given (arXiv 2412.18603, section 5)."""

BIN_S = 120.0
"""Perplexity is drawn for stretches of 2 minutes."""

QUARTER_S = 240.0
"""Perplexity is tabled for quarters of 16 minutes, the first as long as a training segment."""


@dataclass(frozen=True)
class Continued:
    """A continuation on disk: its file, tokens (T,) and length."""

    path: Path
    tokens: Ints
    duration_s: float


@dataclass(frozen=True)
class Progress:
    """How far a continuation is: seconds written, of those asked for."""

    made_s: float
    wanted_s: float


@dataclass(frozen=True)
class Speaker:
    """What continues and speaks: a textless model, the renderer of a voice, and the tokenizer."""

    model: TextlessSpeech
    renderer: Renderer
    tokenizer: Tokenizer


def continue_recording(
    prompt: Path,
    speaker: Speaker,
    minutes: float,
    out: Path,
    seed: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Continued:
    """Continue a recording into a FLAC file that grows window by window.

    Raises
    ------
    VoicePromptError
        The recording is too short.
    QAError
        It cannot be decoded.
    """
    waveform = heard(read_audio(prompt))
    if samples_to_s(len(waveform)) < LEAST_PROMPT_S:
        raise VoicePromptError(
            f"{prompt} lasts {samples_to_s(len(waveform)):.1f} s: "
            f"give at least {LEAST_PROMPT_S:g} s of speech"
        )
    tokens = endless_tokens(waveform, speaker.tokenizer)
    return continue_tokens(tokens, speaker, tokens_in(60 * minutes), out, seed, report)


def heard(audio: Audio) -> npt.NDArray[np.float32]:
    """Bring a recording to Lectern's rate."""
    return resampled(audio, SAMPLE_RATE_HZ).samples


def continue_tokens(
    prompt: Ints,
    speaker: Speaker,
    total: int,
    out: Path,
    seed: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Continued:
    """Continue (T,) tokens by `total` tokens into a FLAC file."""
    stream = Continuation(speaker.model, prompt, seed)
    pieces = render_stream(stream, total, speaker.renderer, prompt_seed(prompt, seed))
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    said: list[Ints] = []
    written = 0
    with soundfile.SoundFile(
        partial, "w", SAMPLE_RATE_HZ, 1, subtype="PCM_16", format="FLAC"
    ) as file:
        for tokens, waveform in pieces:
            file.write(np.clip(waveform, -1.0, 1.0))
            said.append(tokens)
            written += len(waveform)
            report(Progress(samples_to_s(written), tokens_to_s(total)))
    partial.replace(out)
    return Continued(out, np.concatenate(said), samples_to_s(written))


@dataclass(frozen=True)
class Curve:
    """Perplexity over time: whose tokens, by which model; one value for each stretch of BIN_S."""

    name: str
    values: list[float]


@dataclass(frozen=True)
class Perplexities:
    """How well real tokens are foreseen: `curves` over time, `quarters` at minutes 0–4, 4–8 … by model.

    `hours` of real speech were scored.
    """

    curves: tuple[Curve, ...]
    quarters: dict[str, list[float]]
    hours: float

    @classmethod
    def of(cls, losses: dict[str, list[npt.NDArray[np.float64]]]) -> "Perplexities":
        """Put together the losses of each model on the same recordings."""
        tokens = sum(len(each) for each in next(iter(losses.values())))
        return cls(
            tuple(Curve(f"real speech, {name}", binned(per)) for name, per in losses.items()),
            {name: binned(per, QUARTER_S) for name, per in losses.items()},
            tokens_to_s(tokens) / 3600,
        )


def perplexities(streams: Sequence[Ints], models: dict[str, TextlessSpeech]) -> Perplexities:
    """Score real streams by every model."""
    return Perplexities.of(
        {name: [token_losses(model, s) for s in streams] for name, model in models.items()}
    )


@dataclass(frozen=True)
class LongformRun:
    """All that a run measured: scores of each recording, perplexities of real and of continued tokens.

    `repeated`: share of repeated 4-grams of tokens in every 4 minutes of every example, continued or not.
    """

    real: tuple[Scores, ...]
    continued: tuple[Scores, ...]
    foreseen: Perplexities
    own: tuple[Curve, ...]
    repeated: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return asdict(self)


def run(
    examples: Sequence[LongExample],
    models: dict[str, TextlessSpeech],
    renderer: Renderer,
    tokenizer: Tokenizer,
    voice: Audio,
    out: Path,
    seed: int = 0,
    continuations: int = 1,
    report: Callable[[str], None] = lambda line: None,
) -> LongformRun:
    """Score examples, and continuations of the first of them by every model.

    What was made already and lies under `out` (tokens, recordings, scores) is used again.

    Parameters
    ----------
    models
        By name; the first is ours, the others baselines.
    voice
        The voice the continuations should have.
    continuations
        How many examples are continued; all of them have their perplexity measured.
    """
    desk = _Desk(out, tokenizer, embed(voice), report)
    tokens = {example.name: desk.tokens(example) for example in examples}
    real: list[Scores] = []
    continued: list[Scores] = []
    said: dict[str, list[Ints]] = {name: [] for name in models}
    for example in examples[:continuations]:
        prompt = tokens[example.name][: tokens_in(PROMPT_S)]
        total = len(tokens[example.name]) - len(prompt)
        real.append(desk.real(example, tokens[example.name]))
        for name, model in models.items():
            speaker = Speaker(model, renderer, tokenizer)
            made = desk.continued(example, name, speaker, prompt, total, seed)
            said[name].append(made.tokens)
            continued.append(desk.score(f"{name}: {example.name}", made, example))
    losses = {
        name: [desk.losses(name, model, tokens[e.name], e.name) for e in examples]
        for name, model in models.items()
    }
    own = tuple(
        Curve(f"continued by {name}", binned([token_losses(model, each) for each in said[name]]))
        for name, model in models.items()
    )
    repeated = tuple(share for each in tokens.values() for share in repeated_tokens(each))
    done = LongformRun(tuple(real), tuple(continued), Perplexities.of(losses), own, repeated)
    (out / "scores.json").write_text(json.dumps(done.to_json(), indent=1) + "\n", "utf-8")
    return done


def binned(
    losses: Sequence[npt.NDArray[np.float64]], bin_s: float = BIN_S, least: float = 0.5
) -> list[float]:
    """Perplexity of all recordings together, stretch by stretch.

    A last stretch that holds less than `least` of its length is left out.
    """
    length = tokens_in(bin_s)
    values = []
    for start in range(0, max((len(each) for each in losses), default=0), length):
        parts = [each[start : start + length] for each in losses]
        parts = [part for part in parts if len(part) >= least * length]
        if not parts:
            break
        values.append(perplexity(np.concatenate(parts)))
    return values


class _Desk:
    """What a run keeps under its folder, so that a run that was cut off goes on."""

    def __init__(
        self, out: Path, tokenizer: Tokenizer, voice: Embeddings, report: Callable[[str], None]
    ) -> None:
        self._out, self._tokenizer, self._voice, self._report = out, tokenizer, voice, report
        out.mkdir(parents=True, exist_ok=True)

    def _at(self, *parts: str) -> Path:
        path = self._out.joinpath(*(part.replace(" ", "-") for part in parts))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def tokens(self, example: LongExample) -> Ints:
        path = self._at("tokens", f"{example.name}.npy")
        if not path.is_file():
            self._report(f"listening to {example.name}")
            np.save(path, endless_tokens(heard(read_audio(example.audio)), self._tokenizer))
        tokens: Ints = np.load(path)
        return tokens

    def losses(
        self, name: str, model: TextlessSpeech, tokens: Ints, example: str
    ) -> npt.NDArray[np.float64]:
        path = self._at("losses", name, f"{example}.npy")
        if not path.is_file():
            self._report(f"perplexity of {example} by {name}")
            np.save(path, token_losses(model, tokens))
        losses: npt.NDArray[np.float64] = np.load(path)
        return losses

    def continued(
        self, example: LongExample, name: str, speaker: Speaker, prompt: Ints, total: int, seed: int
    ) -> Continued:
        audio = self._at("continued", name, f"{example.name}.flac")
        kept = audio.with_suffix(".npy")
        if not (audio.is_file() and kept.is_file()):
            self._report(f"continuing {example.name} by {name}, {tokens_to_s(total) / 60:.1f} min")
            np.save(kept, continue_tokens(prompt, speaker, total, audio, seed).tokens)
        tokens: Ints = np.load(kept)
        return Continued(audio, tokens, tokens_to_s(len(tokens)))

    def real(self, example: LongExample, tokens: Ints) -> Scores:
        made = Continued(example.audio, tokens, tokens_to_s(len(tokens)))
        return self.score(f"real: {example.name}", made, example, PROMPT_S)

    def score(
        self, name: str, made: Continued, example: LongExample, prompt_s: float = 0.0
    ) -> Scores:
        path = self._at("scores", f"{name.replace(': ', '/')}.json")
        if not path.is_file():
            self._report(f"scoring {name}")
            audio = read_audio(made.path)
            text = _prompt_text(example)
            scores = score(name, audio, made.tokens, self._voice, text, _coherence(), prompt_s)
            path.write_text(json.dumps(scores.to_json()), "utf-8")
        return Scores(**json.loads(path.read_text("utf-8")))


def _prompt_text(example: LongExample) -> str:
    """Text of an example's first 10 s, as its speaking rate has it."""
    words = example.text.split()
    seconds = soundfile.info(example.audio).duration
    return " ".join(words[: round(len(words) * PROMPT_S / seconds)])


def _coherence() -> Callable[[str, str], list[float]] | None:
    """SC-L of QA, where this build has it."""
    try:
        from qa.coherence import sc_l
    except ImportError:
        return None
    return lambda prompt, said: [float(value) for value in sc_l(prompt, said).similarity]
