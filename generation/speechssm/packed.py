"""Linear layers with their weights laid out once for the CPU's matrix kernels.

A step of reading multiplies few rows by every weight, so that the time goes into bringing the
weights in: oneDNN's blocked layout halves it (32 rows, 320 × 1,920, one core: 1.0 → 0.5 ms).
"""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

_Module = TypeVar("_Module", bound=nn.Module)
_HAS_ONEDNN = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


class PackedLinear(nn.Module):
    """A linear layer that can only be run, on a CPU, in fp32.

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


def packed(module: _Module, rows: int) -> _Module:
    """Return what runs like `module` in evaluation mode, as fast as its device allows.

    On a CPU with oneDNN and in fp32 that is a copy with packed linear layers, which can neither be
    trained nor saved; elsewhere it is the module itself.

    Parameters
    ----------
    module
        The model to run.
    rows
        Rows that its linear layers will see at once.
    """
    weight = next(module.parameters())
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or not _HAS_ONEDNN:
        return module.eval()
    runner = copy.deepcopy(module).eval().requires_grad_(False)
    for parent in list(runner.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, PackedLinear(child, rows))
    return runner
