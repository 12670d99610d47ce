"""The watermark: found in marked speech whatever became of the file, not in other speech, and not heard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from generation.mastering.watermark import detect, marked, score
from generation.rates import SAMPLE_RATE_HZ

Audio = NDArray[np.float32]


@pytest.fixture(scope="module")
def plain(speech: Callable[[str, float], Audio]) -> Audio:
    return speech("ljspeech", 20)


@pytest.fixture(scope="module")
def mark(plain: Audio) -> Audio:
    """Marked in pieces, as the windows of a chapter are."""
    return np.concatenate([marked(piece) for piece in np.array_split(plain, 2)])


def test_marked_speech_is_told_from_plain_speech(plain: Audio, mark: Audio) -> None:
    assert detect([mark], SAMPLE_RATE_HZ).found is True
    assert detect([plain], SAMPLE_RATE_HZ).found is False
    blocks = np.array_split(mark, 77)
    assert detect(blocks, SAMPLE_RATE_HZ).scores == detect([mark], SAMPLE_RATE_HZ).scores
    assert len(detect(blocks, SAMPLE_RATE_HZ, most_s=10).scores) == 1


def test_the_mark_lies_far_under_the_speech_and_below_2_khz(plain: Audio, mark: Audio) -> None:
    added = mark - plain
    assert mark.shape == plain.shape and mark.dtype == np.float32
    assert 10 * np.log10(np.square(plain).mean() / np.square(added).mean()) > 15
    power = np.square(np.abs(np.fft.rfft(added)))
    hz = np.fft.rfftfreq(len(added), 1 / SAMPLE_RATE_HZ)
    assert power[hz > 2200].sum() < 1e-3 * power.sum()


@pytest.mark.parametrize("codec, kbit", [("mp3", 64), ("aac", 64)])
def test_it_survives_a_lossy_codec_and_a_change_of_level(
    mark: Audio, plain: Audio, tmp_path: Path, codec: str, kbit: int
) -> None:
    for sound, expected in ((mark, True), (plain, False)):
        heard, rate_hz = _through(sound * 0.3, tmp_path / "x.mp4", codec, kbit)
        assert detect([heard], rate_hz).found is expected


def test_silence_and_short_pieces_stay_what_they_are() -> None:
    silence = np.zeros(SAMPLE_RATE_HZ, np.float32)
    np.testing.assert_array_equal(marked(silence), silence)
    short = np.ones(100, np.float32)
    np.testing.assert_array_equal(marked(short), short)
    assert score(silence, SAMPLE_RATE_HZ) < 0.9


def _through(sound: Audio, path: Path, codec: str, kbit: int) -> tuple[Audio, int]:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=SAMPLE_RATE_HZ, layout="mono")
        stream.bit_rate = 1000 * kbit
        frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), "fltp", "mono")
        frame.rate = SAMPLE_RATE_HZ
        fifo = av.AudioFifo()
        fifo.write(frame)
        while block := fifo.read(stream.codec_context.frame_size or 1024, partial=True):
            out.mux(stream.encode(block))
        out.mux(stream.encode(None))
    with av.open(str(path)) as back:
        parts = [frame.to_ndarray()[0] for frame in back.decode(audio=0)]
        return np.concatenate(parts).astype(np.float32), int(back.streams.audio[0].rate)
