"""Piper, the yardstick: run as a program of its own on the text that Lectern narrates.

Piper is GPL: it is never imported, only started from wherever the user installed it.
"""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generation.codec.latent import voice_model_path
from generation.errors import LecternError
from qa.audio import Audio, read_audio

SENTENCE_SILENCE_S = 0.45
"""Pause after a sentence, about what the house voice leaves; Piper by itself leaves none."""


class PiperError(LecternError):
    """Piper could not be run."""


@dataclass(frozen=True)
class PiperReading:
    """Piper's narration of some texts: one recording each, seconds it took, and seconds of that to start."""

    recordings: tuple[Audio, ...]
    wall_s: float
    start_s: float


def read_by_piper(piper: Path, texts: Sequence[str]) -> PiperReading:
    """Narrate texts by the pretrained voice `joe` with Piper itself.

    Parameters
    ----------
    piper
        Piper's executable (piper-tts 1.8).
    texts
        One recording is made of each.

    Raises
    ------
    PiperError
        The program is missing or failed.
    """
    _, start_s = _run(piper, ["I."])
    recordings, wall_s = _run(piper, texts)
    return PiperReading(tuple(recordings), wall_s, start_s)


def _run(piper: Path, texts: Sequence[str]) -> tuple[list[Audio], float]:
    with tempfile.TemporaryDirectory(prefix="lectern-piper-") as name:
        folder = Path(name)
        lines, out = folder / "lines.txt", folder / "out"
        lines.write_text("".join(f"{' '.join(text.split())}\n" for text in texts), "utf-8")
        command = [piper, "-m", voice_model_path(), "-i", lines, "-d", out,
                   "--sentence-silence", str(SENTENCE_SILENCE_S)]  # fmt: skip
        began = time.perf_counter()
        try:
            subprocess.run([str(part) for part in command], check=True, capture_output=True)
        except OSError as error:
            raise PiperError(
                f"{piper} cannot be started ({error}): give Piper's executable"
            ) from error
        except subprocess.CalledProcessError as error:
            last = error.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise PiperError(f"{piper} failed: {' '.join(last)}") from error
        wall_s = time.perf_counter() - began
        # Files are named by the time they were begun at.
        made = sorted(out.glob("*.wav"), key=lambda path: int(path.stem))
        if len(made) != len(texts):
            raise PiperError(f"{piper} made {len(made)} recordings of {len(texts)} texts")
        return [read_audio(path) for path in made], wall_s
