"""The third recogniser: Moonshine tiny, which judges no book and chooses no take, so that it can prove both.

An encoder of raw samples and a decoder trained by other people on other data than Whisper (Jeffries et al.
2024); where Whisper alone misspells a word, Moonshine does not follow it. The package carries the English
model (27 million weights, MIT) up to version 0.0.49.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from qa.audio import ANALYSIS_RATE_HZ, Audio, quiet_cuts, resampled
from qa.errors import MissingModelError
from qa.recognisers import HeardWord, Transcript

_CUT_S = (6.0, 15.0)
_OPTIONS = {"vad_threshold": "0", "vad_max_segment_duration": "30"}
"""Nothing is left out as no speech, and no cut is cut again."""


@lru_cache(maxsize=1)
def _moonshine() -> Any:
    """Load Moonshine tiny from the `moonshine-voice` package, once a process."""
    try:
        import moonshine_voice
        from moonshine_voice import ModelArch, Transcriber
    except ImportError as error:
        raise MissingModelError(
            f"the proving recogniser needs moonshine-voice ({error}); install moonshine-voice==0.0.49"
        ) from error
    model = Path(moonshine_voice.__file__).parent / "assets" / "tiny-en"
    if not (model / "encoder_model.ort").is_file():
        raise MissingModelError(
            f"{model}: holds no Moonshine model; install moonshine-voice==0.0.49, later ones leave it out"
        )
    return Transcriber(str(model), ModelArch.TINY, options=_OPTIONS)


def transcribe_by_moonshine(audio: Audio) -> Transcript:
    """Transcribe by Moonshine tiny, cut at the quietest places.

    It gives no times of words: each has those of its cut.
    """
    speech = resampled(audio, ANALYSIS_RATE_HZ)
    words: list[HeardWord] = []
    cuts = [(a / speech.rate_hz, b / speech.rate_hz) for a, b in quiet_cuts(speech, *_CUT_S)]
    for start_s, end_s in cuts:
        first, last = round(start_s * speech.rate_hz), round(end_s * speech.rate_hz)
        heard = _moonshine().transcribe_without_streaming(
            speech.samples[first:last].tolist(), speech.rate_hz
        )
        words += [
            HeardWord(word, start_s, end_s, 1.0)
            for line in heard.lines
            for word in line.text.split()
        ]
    return Transcript(tuple(words), tuple(cuts))
