"""Import torchaudio where its wheel and torch do not match.

PyPI's torchaudio is built for CUDA; beside a CPU build of torch its shared libraries cannot be
loaded and the import fails. Everything Lectern uses of it (resampling, mel spectra) is Python on
torch, so the libraries are hidden while it is imported; torchaudio then behaves as if it had been
built without them.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


@contextmanager
def _without_shared_libraries() -> Iterator[None]:
    plain_glob = Path.glob

    def glob(self: Path, pattern: str, **options: Any) -> Iterator[Path]:
        if self.parts[-2:] == ("torchaudio", "lib"):
            return iter(())
        return iter(plain_glob(self, pattern, **options))

    Path.glob = glob  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Path.glob = plain_glob  # type: ignore[method-assign]


def import_torchaudio() -> Any:
    """Import torchaudio and return it; call before anything else imports it (pyannote.audio)."""
    if "torchaudio" in sys.modules or torch.version.cuda is not None:
        return importlib.import_module("torchaudio")
    with _without_shared_libraries():
        return importlib.import_module("torchaudio")
