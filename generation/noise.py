"""Counter-based randomness: noise = hash(seed, counter, index), so that no draw depends on another.

A shared generator would make a lane's noise depend on its neighbours; a hash does not, and gives the same
bits on every device. The mixer is the 64-bit finaliser of SplitMix64 (Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014), in wrapping int64 arithmetic.
"""

import hashlib

import torch
from torch import Tensor


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)
_MANTISSA_BITS = 23
"""One less than float32 holds, so that adding a half is exact and 1 is never reached."""


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Shift int64 right without dragging the sign along."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """Scramble int64 values; one-to-one."""
    x = (x ^ _shift_right(x, 30)) * _FIRST
    x = (x ^ _shift_right(x, 27)) * _SECOND
    return x ^ _shift_right(x, 31)


def uniform(seed: Tensor, counter: Tensor | int, count: int) -> Tensor:
    """Uniform noise in (0, 1).

    Parameters
    ----------
    seed
        (...) int64.
    counter
        (...) or a number: the step, pass, or whatever else sets this draw apart.
    count
        Values wanted for each seed.

    Returns
    -------
    Tensor
        (..., count) float32.
    """
    key = mix(seed * _GOLDEN + mix(torch.as_tensor(counter, device=seed.device) + 1))
    index = torch.arange(1, count + 1, device=seed.device, dtype=torch.int64)
    bits = _shift_right(mix(key[..., None] + index * _GOLDEN), 64 - _MANTISSA_BITS)
    return (bits.to(torch.float32) + 0.5) * 2.0**-_MANTISSA_BITS


def gumbel(seed: Tensor, counter: Tensor | int, count: int) -> Tensor:
    """Standard Gumbel noise (..., count): adding it to logits and taking the largest samples them."""
    return -torch.log(-torch.log(uniform(seed, counter, count)))


def content_seed(*parts: str | int) -> int:
    """Make a signed 64-bit seed from content (digests, numbers, names), never from row ids."""
    joined = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(joined.encode()).digest()[:8], "big", signed=True)
