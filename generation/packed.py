"""Models as they are run: linear layers laid out once for the CPU's matrix kernels, in the precision wanted.

Few rows by every weight, as in a step of reading, is a matter of bringing the weights in: oneDNN's
blocked layout halves the time (32 rows, 320 × 1,920, fp32, one core: 1.0 → 0.5 ms).
"""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

_Module = TypeVar("_Module", bound=nn.Module)
_HAS_ONEDNN = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
_KERNELS = (torch.float32, torch.bfloat16)


class PackedLinear(nn.Module):
    """A linear layer that can only be run, on a CPU, in the type of its weights (fp32 or bf16).

    Parameters
    ----------
    linear
        The layer to take the weights from.
    rows
        Rows it will mostly see; the layout is chosen for that number.
    """

    def __init__(self, linear: nn.Linear, rows: int):
        super().__init__()
        self._bias = None if linear.bias is None else linear.bias.detach()
        weight = linear.weight.detach().contiguous()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, rows)

    def forward(self, x: Tensor) -> Tensor:
        """From [..., inputs] to [..., outputs]."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return y


def packed(module: _Module, rows: int, dtype: torch.dtype = torch.float32) -> _Module:
    """Return a copy that runs like `module` in evaluation mode, in `dtype`, as fast as its device allows.

    On a CPU with oneDNN its linear layers are packed. It can neither be trained nor saved.

    Parameters
    ----------
    module
        The model to run.
    rows
        Rows that its linear layers will see at once.
    dtype
        Type of weights and activations.
    """
    runner = copy.deepcopy(module).eval().requires_grad_(False).to(dtype)
    if next(module.parameters()).device.type != "cpu" or not _HAS_ONEDNN or dtype not in _KERNELS:
        return runner
    for parent in list(runner.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, PackedLinear(child, rows))
    return runner
