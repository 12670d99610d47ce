"""Weights on disk: fp16 safetensors that say what they are and prove that they are whole.

Every model Lectern ships is one file. Its header names the design it belongs to, the configuration
that rebuilds the module, and a digest over both and over every tensor, so that damaged weights, or
weights of another design, are refused before a word is spoken with them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from generation.errors import WeightsError

FORMAT = "lectern-weights-1"

HALF_MAX = float(torch.finfo(torch.float16).max)


@dataclass(frozen=True)
class Weights:
    """One weight file, read and verified.

    Attributes
    ----------
    design
        Name of the design the tensors belong to, such as ``soundstream``.
    config
        The JSON configuration that rebuilds the module.
    tensors
        Tensors by name; floating-point ones as float32, ready for `load_state_dict`.
    digest
        SHA-256 of design, configuration and stored tensors, in hexadecimal.
    """

    design: str
    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    digest: str


def _stored(name: str, tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor.contiguous()
    if (
        not bool(torch.isfinite(tensor).all())
        or float(tensor.abs().amax() if tensor.numel() else 0) > HALF_MAX
    ):
        raise WeightsError(
            f"tensor {name!r} holds values beyond fp16 (not finite, or over {HALF_MAX:g}): "
            "the training diverged: go back to an earlier checkpoint"
        )
    return tensor.to(torch.float16).contiguous()


def _digest(design: str, config: str, tensors: Mapping[str, torch.Tensor]) -> str:
    sha = hashlib.sha256(f"{FORMAT}\0{design}\0{config}\0".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        sha.update(
            tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        )
    return sha.hexdigest()


def save_weights(
    path: Path, design: str, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
) -> str:
    """Write one weight file, whole or not at all.

    Parameters
    ----------
    path
        Where to write; an existing file is replaced in one step.
    design
        Name of the design.
    config
        What rebuilds the module; must survive JSON.
    tensors
        Tensors by name (a `state_dict`). Floating-point tensors are stored as fp16.

    Returns
    -------
    str
        The digest.

    Raises
    ------
    WeightsError
        A tensor holds values that fp16 cannot store.
    """
    text = json.dumps(config, sort_keys=True)
    stored = {name: _stored(name, tensor) for name, tensor in tensors.items()}
    digest = _digest(design, text, stored)
    metadata = {"format": FORMAT, "design": design, "config": text, "digest": digest}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(stored, partial, metadata=metadata)
    partial.replace(path)
    return digest


def load_weights(path: Path, design: str) -> Weights:
    """Read and verify one weight file.

    Parameters
    ----------
    path
        The file.
    design
        The design the caller is about to build.

    Raises
    ------
    WeightsError
        The file is missing, is no weight file of Lectern, is of another design, or is damaged.
    """
    if not path.is_file():
        raise WeightsError(
            f"no weights at {path}: install them, or train them with generation.training"
        )
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = handle.metadata() or {}
            # safetensors' handle is no mapping: keys() is the only way through it.
            stored = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is damaged or no safetensors file ({error}): fetch it again"
        ) from error
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"{path} was not written by Lectern (no {FORMAT!r} header)")
    if metadata["design"] != design:
        raise WeightsError(f"{path} holds weights of {metadata['design']!r}, not of {design!r}")
    digest = _digest(design, metadata["config"], stored)
    if digest != metadata["digest"]:
        raise WeightsError(
            f"{path} is damaged: its tensors do not match its digest; fetch it again"
        )
    tensors = {n: t.float() if t.is_floating_point() else t for n, t in stored.items()}
    return Weights(design, json.loads(metadata["config"]), tensors, digest)


def load_into(module: torch.nn.Module, weights: Weights) -> None:
    """Put tensors into a module, which must have exactly these names and shapes.

    Raises
    ------
    WeightsError
        Names or shapes differ.
    """
    try:
        module.load_state_dict(weights.tensors, strict=True)
    except RuntimeError as error:
        raise WeightsError(
            f"weights of {weights.design!r} do not fit this build: {error}"
        ) from error
