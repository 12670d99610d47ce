"""Same narrator throughout? Sliding-window speaker embeddings by pyannote.audio.

They are compared with the voice prompt and with the recording's own median.

The default embedding is GE2E (Wan et al. 2018) with the weights of the `resemblyzer` package,
wrapped as a pyannote.audio model; any pyannote checkpoint on disk can be named instead. Nothing is
ever downloaded.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qa.audio import ANALYSIS_RATE_HZ, Audio, mean_square, resampled
from qa.errors import MissingModelError
from qa.speaker_track import STEP_S, WINDOW_S, SpeakerTrack, follow, speech_share
from qa.torchaudio_import import import_torchaudio

os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")  # before the import: no telemetry
torchaudio = import_torchaudio()

from pyannote.audio import Inference, Model  # noqa: E402
from pyannote.audio.core.task import Problem, Resolution, Specifications  # noqa: E402

Floats = NDArray[np.float64]
Embeddings = NDArray[np.float32]

DEFAULT_MODEL = "ge2e"

_BATCH = 32
_TARGET_DBFS = -30.0  # resemblyzer hparams.audio_norm_target_dBFS; quieter speech is raised to it


class GE2E(Model):  # type: ignore[misc]
    """The GE2E speaker encoder as a pyannote.audio model: 3 s of waveform to one unit vector.

    The arithmetic is resemblyzer's (`VoiceEncoder.embed_utterance`): raw mel power, 40 bands,
    partials of 1.6 s at 1.3 a second through three LSTM layers of 256, ReLU, unit length, mean,
    unit length.
    """

    PARTIAL_FRAMES = 160
    STEP_FRAMES = 77  # round(100 frames / 1.3 partials a second)
    HOP = 160
    LEAST_COVERAGE = 0.75

    def __init__(self, sample_rate: int = ANALYSIS_RATE_HZ, num_channels: int = 1) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels)
        self.mel = torchaudio.transforms.MelSpectrogram(
            sample_rate, n_fft=400, hop_length=self.HOP, n_mels=40, f_max=sample_rate / 2,
            power=2.0, center=True, pad_mode="constant", norm="slaney", mel_scale="slaney",
        )  # fmt: skip
        self.lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        self.specifications = Specifications(
            problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=WINDOW_S
        )

    def num_frames(self, num_samples: int) -> int:
        """One vector a chunk."""
        return 1

    def receptive_field_size(self, num_frames: int = 1) -> int:
        """Count the samples that `num_frames` vectors see."""
        return round(WINDOW_S * ANALYSIS_RATE_HZ) + (num_frames - 1) * self.HOP

    def receptive_field_center(self, frame: int = 0) -> int:
        """Middle sample of a vector's field; it increases with the frame, as pyannote requires."""
        return round(WINDOW_S * ANALYSIS_RATE_HZ / 2) + frame * self.HOP

    def _partial_starts(self, samples: int) -> list[int]:
        """First frames of the partials (resemblyzer `compute_partial_slices`)."""
        frames = -(-(samples + 1) // self.HOP)
        starts = list(
            range(0, max(1, frames - self.PARTIAL_FRAMES + self.STEP_FRAMES + 1), self.STEP_FRAMES)
        )
        covered = (samples - starts[-1] * self.HOP) / (self.PARTIAL_FRAMES * self.HOP)
        return starts[:-1] if covered < self.LEAST_COVERAGE and len(starts) > 1 else starts

    def forward(self, waveforms: Tensor) -> Tensor:
        """Embed a batch.

        Parameters
        ----------
        waveforms : (batch, 1, sample) tensor at 16 kHz

        Returns
        -------
        (batch, 256) tensor of unit vectors
        """
        wave = waveforms[:, 0]
        starts = self._partial_starts(wave.shape[1])
        missing = (starts[-1] + self.PARTIAL_FRAMES) * self.HOP - wave.shape[1]
        mel = self.mel(nn.functional.pad(wave, (0, max(0, missing)))).transpose(1, 2)
        partials = torch.stack([mel[:, s : s + self.PARTIAL_FRAMES] for s in starts], dim=1)
        _, (hidden, _) = self.lstm(partials.flatten(0, 1))
        raw = torch.relu(self.linear(hidden[-1]))
        unit = nn.functional.normalize(raw, dim=1).view(len(wave), len(starts), -1)
        return nn.functional.normalize(unit.mean(dim=1), dim=1)


def _ge2e() -> GE2E:
    try:
        import resemblyzer
    except ImportError as error:
        raise MissingModelError("speaker QA needs the resemblyzer package; install it") from error
    path = Path(resemblyzer.__file__).parent / "pretrained.pt"
    if not path.is_file():
        raise MissingModelError(f"{path}: holds no GE2E weights; reinstall resemblyzer")
    state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    model = GE2E()
    kept = {k: v for k, v in state.items() if k.startswith(("lstm.", "linear."))}
    model.load_state_dict(kept, strict=False)
    model.eval()
    return model


@lru_cache(maxsize=2)
def embedding_model(name: str = DEFAULT_MODEL) -> Any:
    """Load a pyannote.audio embedding model, once a process.

    Parameters
    ----------
    name : "ge2e", or the path of a pyannote checkpoint on this machine

    Raises
    ------
    MissingModelError
        If the path does not exist: models are never downloaded.
    """
    if name == DEFAULT_MODEL:
        return _ge2e()
    if not Path(name).exists():
        raise MissingModelError(
            f"{name}: no such checkpoint here; give the path of a pyannote model, or 'ge2e'"
        )
    return Model.from_pretrained(Path(name)).eval()


def _raised(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Raise quiet speech to the level GE2E was trained at (resemblyzer `normalize_volume`)."""
    rms = mean_square(samples) ** 0.5
    gain = 10 ** (_TARGET_DBFS / 20) / rms if rms > 0 else 1.0
    return samples if gain <= 1.0 else samples * np.float32(gain)


def sliding_embeddings(audio: Audio, model: str = DEFAULT_MODEL) -> tuple[Floats, Embeddings]:
    """Embed 3 s windows every half second: their centres (s) and unit vectors."""
    speech = _raised(resampled(audio, ANALYSIS_RATE_HZ).samples)
    inference = Inference(
        embedding_model(model), window="sliding", duration=WINDOW_S, step=STEP_S, batch_size=_BATCH
    )
    waveform = torch.from_numpy(speech)[None]
    tracked = inference({"waveform": waveform, "sample_rate": ANALYSIS_RATE_HZ})
    data = np.asarray(tracked.data, dtype=np.float32)
    unit: Embeddings = data / np.maximum(np.linalg.norm(data, axis=1, keepdims=True), 1e-9)
    centre_s: Floats = np.arange(len(unit), dtype=np.float64) * STEP_S + WINDOW_S / 2
    return centre_s, unit


def embed(audio: Audio, model: str = DEFAULT_MODEL) -> Embeddings:
    """One unit vector for a whole clip (a prompt, say), silences shortened as resemblyzer does.

    Returns
    -------
    (dimension,) float32 array
    """
    from resemblyzer.audio import preprocess_wav

    speech = resampled(audio, ANALYSIS_RATE_HZ).samples
    trimmed = preprocess_wav(speech)
    kept = trimmed if len(trimmed) >= ANALYSIS_RATE_HZ else speech
    with torch.inference_mode():
        wave = torch.from_numpy(np.ascontiguousarray(kept, dtype=np.float32))
        vector = embedding_model(model)(wave[None, None])[0].numpy()
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def similarity(ours: Embeddings, other: Embeddings) -> float:
    """Cosine of two unit vectors."""
    return float(np.dot(ours, other))


def identify(clips: Sequence[Embeddings], speakers: Sequence[Embeddings]) -> NDArray[np.int64]:
    """Index of the nearest speaker for each clip: (clip,) array."""
    return np.asarray(np.argmax(np.stack(clips) @ np.stack(speakers).T, axis=1), dtype=np.int64)


def track_speaker(
    audio: Audio, prompt: Audio | None = None, model: str = DEFAULT_MODEL
) -> SpeakerTrack:
    """Follow the voice through a recording of any length.

    Parameters
    ----------
    audio : the recording at any rate
    prompt : the voice it should be, at any rate
    model : embedding model, see `embedding_model`
    """
    speech = resampled(audio, ANALYSIS_RATE_HZ)
    centre_s, vectors = sliding_embeddings(speech, model)
    wanted = None if prompt is None else embed(prompt, model)
    return follow(centre_s, vectors, speech_share(speech, centre_s), wanted)
