"""What a retail audiobook file must measure (the "ACX-spec" preset), and what a file does measure.

Figures: "ACX Audio Submission Requirements", help.acx.com. ACX itself takes no unauthorised synthetic
narration; only its technical figures are used here.
"""

from dataclasses import dataclass

RMS_MIN_DBFS = -23.0
RMS_MAX_DBFS = -18.0
PEAK_MAX_DBFS = -3.0
FLOOR_MAX_DBFS = -60.0
MP3_BIT_RATE = 192_000
DURATION_MAX_S = 120 * 60.0
HEAD_MIN_S, HEAD_MAX_S = 0.5, 1.0
TAIL_MIN_S, TAIL_MAX_S = 1.0, 5.0

LOUDNESS_LUFS = -20.0
"""Integrated loudness of a common retail master (EBU R128 measure)."""

TRUE_PEAK_MAX_DBTP = -3.0
FLOOR_MIN_DBFS = -90.0
"""Below this a floor is digital silence, not room tone: 16-bit's own quantisation noise is at -98 dBFS."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What one file measures, decoded.

    `floor_dbfs` is the RMS of the quietest half second, as the "ACX Check" plug-in of Audacity has
    it.
    """

    duration_s: float
    rms_dbfs: float
    peak_dbfs: float
    floor_dbfs: float
    loudness_lufs: float


def violations(levels: Levels) -> tuple[str, ...]:
    """Say in words which figures of the spec a file misses; empty where it holds."""
    checks = (
        (
            levels.rms_dbfs < RMS_MIN_DBFS,
            f"RMS {levels.rms_dbfs:.2f} dBFS is below {RMS_MIN_DBFS:g}",
        ),
        (
            levels.rms_dbfs > RMS_MAX_DBFS,
            f"RMS {levels.rms_dbfs:.2f} dBFS is above {RMS_MAX_DBFS:g}",
        ),
        (
            levels.peak_dbfs > PEAK_MAX_DBFS,
            f"peak {levels.peak_dbfs:.2f} dBFS is above {PEAK_MAX_DBFS:g}",
        ),
        (
            levels.floor_dbfs > FLOOR_MAX_DBFS,
            f"noise floor {levels.floor_dbfs:.2f} dBFS is above {FLOOR_MAX_DBFS:g}",
        ),
        (
            levels.floor_dbfs < FLOOR_MIN_DBFS,
            f"noise floor {levels.floor_dbfs:.2f} dBFS is digital silence, not room tone",
        ),
        (
            levels.duration_s > DURATION_MAX_S,
            f"{levels.duration_s / 60:.1f} minutes are more than {DURATION_MAX_S / 60:g}",
        ),
    )
    return tuple(text for missed, text in checks if missed)
