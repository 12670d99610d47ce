"""Masters a chapter in two streaming passes: measure and spool, then render at the delivery rate.

The first pass takes the rumble out, writes the waveform to a spool file and measures it. From the
measures comes a plan (gain, limiter, expander, room tone, head and tail); the second pass carries
it out. A plan can be corrected from what the encoded file measured and carried out again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import signal

from generation.mastering import spec
from generation.mastering.dynamics import Expander, Limiter
from generation.mastering.errors import MasteringError
from generation.mastering.loudness import LoudnessMeter, to_db
from generation.mastering.roomtone import QuietMeter, RoomTone
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ

Audio = NDArray[np.float32]

HIGH_PASS_HZ = 65.0
"""Corner of the second-order high-pass: below any voice's pitch, above rumble and DC."""

HEAD_S, TAIL_S = 0.75, 2.5
"""Room tone before the first and after the last sound: inside 0.5-1 s and 1-5 s (ACX)."""

TONE_MIN_DBFS, TONE_MAX_DBFS = -78.0, -64.0
"""Room tone is never quieter (it would sound like a dropped line) nor louder (4 dB inside the spec)."""

EXPANDER_MAX_DB = 18.0
"""More than this and the room is heard to breathe."""

CODEC_HEADROOM_DB = 0.4
"""The limiter's ceiling starts this far under the spec: lossy codecs overshoot by a few tenths."""

LOUDNESS_TOLERANCE_LU = 0.2

LIMITER_SHARE = 0.3
"""What the limiter takes of a raise in gain, about (.32 and .35 measured on the teacher's reading): a raise
asks for so much more, and a second rendering mostly suffices where there were three."""

BLOCK_SAMPLES = 1 << 16
_EDGE, _RAMP = 110, 441  # samples: 5 ms fade of the body's ends, 20 ms between room tone and body
_RMS_MARGIN_DB = 0.3


@dataclass(frozen=True)
class Measured:
    """What the first pass learned of a chapter; lengths and places in samples at `SAMPLE_RATE_HZ`."""

    samples: int
    rms_dbfs: float
    loudness_lufs: float
    floor_dbfs: float
    sound: tuple[int, int]
    spectrum: NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """What the second pass will do.

    `head` and `tail` count samples of room tone set before and after the chapter's samples `body`.
    The chapter's sample `i` becomes the master's sample `2 * (i + shift)` at `DELIVERY_RATE_HZ`.
    """

    gain_db: float
    ceiling_dbtp: float
    expander_db: float
    tone_dbfs: float
    head: int
    body: tuple[int, int]
    tail: int
    measured: Measured

    @property
    def shift(self) -> int:
        """Samples at `SAMPLE_RATE_HZ` to add to a place in the stitched chapter."""
        return self.head - self.body[0]

    @property
    def samples(self) -> int:
        """Length of the master at `DELIVERY_RATE_HZ`."""
        return 2 * (self.head + self.body[1] - self.body[0] + self.tail)


def measure(blocks: Iterable[Audio], spool: BinaryIO) -> Measured:
    """Take a chapter's waveform once: high-pass it into `spool` (raw float32) and measure it.

    Raises
    ------
    MasteringError
        The chapter is shorter than a loudness block (0.4 s) or holds no sound.
    """
    high_pass = signal.butter(2, HIGH_PASS_HZ, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    state = np.zeros((1, 2))
    loudness, quiet = LoudnessMeter(SAMPLE_RATE_HZ), QuietMeter()
    samples, energy = 0, 0.0
    for block in blocks:
        if not len(block):
            continue
        filtered, state = signal.sosfilt(high_pass, block, zi=state)
        energy += float(np.square(filtered).sum())
        samples += len(filtered)
        clean = filtered.astype(np.float32)
        clean.tofile(spool)
        loudness.push(clean)
        quiet.push(clean)
    lufs, floor_dbfs = loudness.integrated(), quiet.floor_dbfs()
    sound = quiet.sound(max(lufs - 35, min(floor_dbfs + 10, lufs - 10)))
    if not np.isfinite(lufs) or sound is None:
        raise MasteringError(
            f"a chapter of {samples / SAMPLE_RATE_HZ:.2f} s holds no speech to be mastered (silent, or under "
            "0.4 s); look at its windows and narrate it again"
        )
    return Measured(
        samples, to_db(energy / max(1, samples)), lufs, floor_dbfs, sound, quiet.spectrum()
    )


def plan(measured: Measured) -> Plan:
    """Decide how to bring a chapter to `spec.LOUDNESS_LUFS` with the RMS, peak and floor of the spec."""
    onset, end = measured.sound
    head_wanted, tail_wanted = round(HEAD_S * SAMPLE_RATE_HZ), round(TAIL_S * SAMPLE_RATE_HZ)
    body = max(0, onset - head_wanted), min(measured.samples, end + tail_wanted)
    head = head_wanted - (onset - body[0])
    tail = tail_wanted - (body[1] - end)
    share = measured.samples / (head + body[1] - body[0] + tail)
    gain_db = _gain_wanted(measured.rms_dbfs + to_db(share), measured.loudness_lufs)
    floor_dbfs = measured.floor_dbfs + gain_db
    expander_db = float(np.clip(floor_dbfs - TONE_MAX_DBFS, 0, EXPANDER_MAX_DB))
    return Plan(
        gain_db=gain_db,
        ceiling_dbtp=spec.TRUE_PEAK_MAX_DBTP - CODEC_HEADROOM_DB,
        expander_db=expander_db,
        tone_dbfs=float(np.clip(floor_dbfs - expander_db, TONE_MIN_DBFS, TONE_MAX_DBFS)),
        head=head,
        body=body,
        tail=tail,
        measured=measured,
    )


def render(spool: Path, plan: Plan, seed: int) -> Iterator[Audio]:
    """Yield the master of a spooled chapter block by block, float32 at `DELIVERY_RATE_HZ`.

    `seed` fixes the room tone. The blocks hold `plan.samples` samples in all.
    """
    doubler = soxr.ResampleStream(
        SAMPLE_RATE_HZ, DELIVERY_RATE_HZ, 1, dtype="float32", quality="VHQ"
    )
    limiter = Limiter(plan.ceiling_dbtp, DELIVERY_RATE_HZ)
    for block in _levelled(spool, plan, seed):
        yield limiter.push(doubler.resample_chunk(block))
    yield limiter.push(doubler.resample_chunk(np.zeros(0, np.float32), last=True))
    yield limiter.finish()


def tuned(plan: Plan, levels: spec.Levels) -> Plan | None:
    """Return a plan with the gain that `levels`, measured of its master, still lacks; None if none.

    The limiter and the expander take a little loudness away; how much is only known afterwards.
    """
    missing_db = _gain_wanted(levels.rms_dbfs, levels.loudness_lufs)
    if abs(missing_db) <= LOUDNESS_TOLERANCE_LU:
        return None
    raised_db = missing_db / (1 - LIMITER_SHARE) if missing_db > 0 else missing_db
    return replace(plan, gain_db=plan.gain_db + raised_db)


def corrected(plan: Plan, levels: spec.Levels) -> Plan | None:
    """Return a plan for a lower peak or floor where `levels`, of an encoded file, need it; else None."""
    peak_over = levels.peak_dbfs - spec.PEAK_MAX_DBFS
    floor_over = levels.floor_dbfs - spec.FLOOR_MAX_DBFS
    if peak_over <= 0 and floor_over <= 0:
        return None
    if peak_over > 0:
        plan = replace(plan, ceiling_dbtp=plan.ceiling_dbtp - peak_over - 0.1)
    if floor_over > 0:
        plan = replace(
            plan,
            expander_db=min(EXPANDER_MAX_DB, plan.expander_db + floor_over + 1),
            tone_dbfs=plan.tone_dbfs - floor_over - 1,
        )
    return plan


def _gain_wanted(rms_dbfs: float, loudness_lufs: float) -> float:
    """Gain in dB to the wanted loudness, or as near to it as the RMS of the spec lets it be."""
    gain_db = spec.LOUDNESS_LUFS - loudness_lufs
    low, high = spec.RMS_MIN_DBFS + _RMS_MARGIN_DB, spec.RMS_MAX_DBFS - _RMS_MARGIN_DB
    return float(np.clip(rms_dbfs + gain_db, low, high)) - rms_dbfs


def _levelled(spool: Path, plan: Plan, seed: int) -> Iterator[Audio]:
    """Head, body and tail at the final gain and the inner rate."""
    tone = RoomTone(plan.measured.spectrum, seed)
    level = np.float32(10 ** (plan.tone_dbfs / 20))
    yield tone.next(plan.head) * level
    floor_db = plan.measured.floor_dbfs + plan.gain_db - plan.expander_db - plan.tone_dbfs
    least = 10 ** ((TONE_MIN_DBFS - plan.tone_dbfs) / 10)  # under gaps that are digitally silent
    bed = float(np.sqrt(max(least, 1 - 10 ** (floor_db / 10))))  # with the floor: the tone's level
    length, place = plan.body[1] - plan.body[0], 0
    gain = np.float32(10 ** (plan.gain_db / 20))
    for block in _expanded(spool, plan):
        shares, fades = _edges(place, len(block), length, bed)
        place += len(block)
        yield block * fades * gain + tone.next(len(block)) * shares * level
    yield tone.next(plan.tail) * level


def _edges(place: int, count: int, length: int, bed: float) -> tuple[Audio, Audio]:
    """Share of room tone and of the body for samples `place` to `place + count` of a body of `length`."""
    if place > _RAMP and place + count < length - _RAMP:
        return np.full(1, bed, np.float32), np.ones(1, np.float32)
    at = np.arange(place, place + count)
    inside = np.minimum(at, length - 1 - at)
    shares = np.interp(inside, [0, _RAMP], [1, bed])
    return shares.astype(np.float32), np.minimum(1, (inside + 0.5) / _EDGE).astype(np.float32)


def _expanded(spool: Path, plan: Plan) -> Iterator[Audio]:
    if plan.expander_db == 0:
        yield from _spooled(spool, plan.body)
        return
    expander = Expander(plan.measured.floor_dbfs, plan.expander_db)
    for block in _spooled(spool, plan.body):
        yield expander.push(block)
    yield expander.finish()


def _spooled(spool: Path, body: tuple[int, int]) -> Iterator[Audio]:
    with spool.open("rb") as file:
        file.seek(body[0] * 4)
        for place in range(body[0], body[1], BLOCK_SAMPLES):
            yield np.fromfile(file, np.float32, min(BLOCK_SAMPLES, body[1] - place))
