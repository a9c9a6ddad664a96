"""LoRA layers computed in one step forward and one back.

The library's own forward converts every input to the adapter's float32 and adds the adapter's output in
passes of its own. Here the small matrices are converted instead, and their product is added inside the
matrix multiplication. The weights stay float32 where peft put them: only products are rounded, as autocast
does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear


def fuse_adapters(model: torch.nn.Module) -> int:
    """Give every plain LoRA layer of a peft model the fused forward; returns how many.

    Layers with dropout, DoRA, several adapters or another base than a linear layer keep peft's forward.
    """
    from peft.tuners.lora import Linear as LoraLinear

    fused = 0
    for layer in model.modules():
        if isinstance(layer, LoraLinear) and _is_plain(layer):
            layer.forward = _FusedForward(layer)
            fused += 1
    return fused


def _is_plain(layer: Any) -> bool:
    if type(layer.base_layer) is not torch.nn.Linear or len(layer.active_adapters) != 1:
        return False
    name = layer.active_adapters[0]
    trained = [*layer.base_layer.parameters(), layer.lora_B[name].bias]
    return (
        isinstance(layer.lora_dropout[name], torch.nn.Identity)
        and not layer.lora_variant
        and not layer.fan_in_fan_out
        and not any(item is not None and item.requires_grad for item in trained)
        and layer.lora_B[name].bias is None
    )


class _FusedForward:
    """Callable that stands in for a layer's forward."""

    def __init__(self, layer: Any) -> None:
        name = layer.active_adapters[0]
        self.base = layer.base_layer
        self.down, self.up = layer.lora_A[name], layer.lora_B[name]
        self.scaling = float(layer.scaling[name])

    def __call__(self, x: Tensor) -> Tensor:
        found: Tensor = _LoraProduct.apply(  # type: ignore[no-untyped-call]
            x, self.base.weight, self.base.bias, self.down.weight, self.up.weight, self.scaling
        )
        return found


class _LoraProduct(torch.autograd.Function):
    """y = x W' + bias + scaling (x A') B', W and bias frozen; W (out, in), A (rank, in), B (out, rank)."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        x, weight, bias, down, up, scaling = arguments
        rows = x.reshape(-1, x.shape[-1])
        down, up = down.to(x.dtype), (up * scaling).to(x.dtype)
        low = rows @ down.t()
        y = linear(rows, weight, bias).addmm_(low, up.t())
        ctx.save_for_backward(rows, weight, down, up, low)
        ctx.scaling, ctx.shape = scaling, x.shape
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, down, up, low = ctx.saved_tensors
        upper = gradients[0].reshape(-1, gradients[0].shape[-1])
        lower = upper @ up
        of_x = (upper @ weight).addmm_(lower, down).view(ctx.shape) if ctx.needs_input_grad[0] else None
        of_down = (lower.t() @ rows).float()
        of_up = (upper.t() @ low).float() * ctx.scaling
        return of_x, None, None, of_down, of_up, None
