"""Real speech, and the independent readers (Debian's ffmpeg and ffprobe) that judge what mastering makes."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import soxr
from mastering_tools import Audio, tool

from generation.rates import SAMPLE_RATE_HZ

SPEECH = Path(__file__).parents[3] / "shared" / "data" / "speech"


@pytest.fixture(scope="session")
def speech() -> Callable[[str, float], Audio]:
    """Real speech: `speech(corpus, seconds)` is that many seconds of clips on end at 22.05 kHz."""

    def load(corpus: str, seconds: float) -> Audio:
        clips, samples = [], 0
        paths = sorted((SPEECH / corpus).rglob("*.flac"))
        assert paths, (
            f"no speech in {SPEECH / corpus}: the shared data must lie beside the checkout"
        )
        for path in paths:
            clip, rate_hz = sf.read(path, dtype="float32")
            clips.append(
                clip if rate_hz == SAMPLE_RATE_HZ else soxr.resample(clip, rate_hz, SAMPLE_RATE_HZ)
            )
            samples += len(clips[-1])
            if samples >= seconds * SAMPLE_RATE_HZ:
                break
        joined = np.concatenate(clips).astype(np.float32)[: round(seconds * SAMPLE_RATE_HZ)]
        assert len(joined) == round(seconds * SAMPLE_RATE_HZ), (
            f"too little speech in {SPEECH / corpus}"
        )
        return joined

    return load


@pytest.fixture(scope="session")
def probe() -> Callable[[Path], Any]:
    """Ask ffprobe about a file: format, streams and chapters."""

    def run(path: Path) -> Any:
        command = [
            tool("ffprobe"),
            "-v",
            "error",
            "-show_format",
            "-show_streams",
            "-show_chapters",
        ]
        done = subprocess.run([*command, "-of", "json", str(path)], capture_output=True, check=True)
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def decode() -> Callable[[Path], Audio]:
    """Decode a file by ffmpeg, at the file's own rate."""

    def run(path: Path) -> Audio:
        command = [
            tool("ffmpeg"),
            "-v",
            "error",
            "-i",
            str(path),
            "-map",
            "0:a",
            "-f",
            "f32le",
            "-",
        ]
        return np.frombuffer(
            subprocess.run(command, capture_output=True, check=True).stdout, np.float32
        )

    return run


@pytest.fixture(scope="session")
def ebur128(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Audio, int], tuple[float, float]]:
    """Integrated loudness (LUFS) and true peak (dBTP) of a waveform by ffmpeg's ebur128 filter."""

    def run(audio: Audio, rate_hz: int) -> tuple[float, float]:
        path = tmp_path_factory.mktemp("ebur128") / "audio.wav"
        sf.write(path, audio, rate_hz, subtype="FLOAT")
        command = [tool("ffmpeg"), "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
        text = subprocess.run(command, capture_output=True, check=True, text=True).stderr
        summary = text[text.rindex("Summary:") :]
        loudness = re.search(r"I:\s+(-?[\d.]+) LUFS", summary)
        peak = re.search(r"Peak:\s+(-?[\d.]+|-inf) dBFS", summary)
        assert loudness and peak, text
        return float(loudness[1]), float(peak[1])

    return run
