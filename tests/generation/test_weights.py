"""Weight files: what is written comes back, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from generation.errors import WeightsError
from generation.weights import load_into, load_weights, save_weights


def test_round_trip_in_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Linear(3, 5)
    digest = save_weights(tmp_path / "w.safetensors", "line", {"width": 3}, module.state_dict())
    weights = load_weights(tmp_path / "w.safetensors", "line")
    assert weights.digest == digest and weights.config == {"width": 3}
    assert weights.tensors["weight"].dtype == torch.float32
    assert torch.equal(weights.tensors["weight"], module.weight.detach().half().float())
    other = nn.Linear(3, 5)
    load_into(other, weights)
    assert torch.equal(other.bias, weights.tensors["bias"])


def test_integers_are_kept_as_they_are(tmp_path: Path) -> None:
    table = torch.arange(100_000, 100_010)
    save_weights(tmp_path / "w.safetensors", "d", {}, {"table": table})
    assert torch.equal(load_weights(tmp_path / "w.safetensors", "d").tensors["table"], table)


def test_the_digest_depends_on_config_and_tensors(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    digests = {
        save_weights(path, "d", {"a": a}, {"x": torch.full((2,), x)})
        for a, x in ((1, 1.0), (2, 1.0), (1, 2.0))
    }
    assert len(digests) == 3


def test_missing_foreign_damaged_and_unfit_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="no weights"):
        load_weights(path, "d")
    path.write_bytes(b"not a weight file")
    with pytest.raises(WeightsError, match="damaged"):
        load_weights(path, "d")
    save_weights(path, "d", {}, nn.Linear(2, 2).state_dict())
    with pytest.raises(WeightsError, match="holds weights of 'd'"):
        load_weights(path, "other")
    with pytest.raises(WeightsError, match="do not fit"):
        load_into(nn.Linear(2, 3), load_weights(path, "d"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(WeightsError, match="digest"):
        load_weights(path, "d")


def test_values_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="fp16"):
        save_weights(tmp_path / "w.safetensors", "d", {}, {"x": torch.tensor([1e6])})
