"""The numerics profile: all that decides the bits of a narration besides its content, weights and seeds.

For one profile audio is equal to the bit whoever the neighbours are. Another processor, build, precision
or number of lanes may round differently: the same words in the same voice, but other bits.
"""

import hashlib
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import onnxruntime
import torch


@dataclass(frozen=True)
class NumericsProfile:
    """What rounds how.

    Attributes
    ----------
    device
        `cpu` with its instruction set, or the GPU's name and compute capability.
    build
        Versions of the libraries that do the arithmetic.
    precision
        Type SoundStorm and the decoder are run in.
    threads
        Threads of one matrix product.
    lanes, batch
        Chapters read at once, windows filled at once.
    """

    device: str
    build: str
    precision: str
    threads: int
    lanes: int
    batch: int

    @classmethod
    def of(cls, device: str, lanes: int, batch: int) -> "NumericsProfile":
        """Describe this process on a device."""
        return cls(
            _device_name(torch.device(device)),
            f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}",
            str(inference_dtype(torch.device(device))).removeprefix("torch."),
            torch.get_num_threads(),
            lanes,
            batch,
        )

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@contextmanager
def one_thread() -> Iterator[None]:
    """Have matrix products run on one thread inside the `with`: there is a worker a core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)} sm_{major}{minor}"
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def inference_dtype(device: torch.device) -> torch.dtype:
    """Type to run SoundStorm and the decoder in: bf16 where the device multiplies it natively, else fp32.

    An AVX-512 CPU with bf16 products (AMD Zen 4, Intel Cooper Lake) or with AMX does twice the work in
    bf16; one without emulates it, at a loss.
    """
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        native = bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return torch.bfloat16 if native else torch.float32
