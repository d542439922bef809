"""What moves the weights: loss, optimizer, learning rate, moving average."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from model.recipe import AdamW, Head, Optimizer, Schedule, Sgd

Tensors = tuple[Tensor, ...] | list[Tensor]


def loss(logits: Tensor, targets: Tensor, head: Head, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy (softmax), or mean binary cross-entropy over images and labels (sigmoid)."""
    if head.type == "softmax":
        return functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    return functional.binary_cross_entropy_with_logits(logits, targets)


def correct(logits: Tensor, targets: Tensor, head: Head) -> Tensor:
    """How many images are right: the top class (softmax), or the share of labels on the right side of 0 (sigmoid)."""
    if head.type == "softmax":
        return (logits.argmax(1) == targets).sum()
    return ((logits > 0) == (targets > 0.5)).float().mean(1).sum()


def optimizer(net: nn.Module, settings: Optimizer) -> torch.optim.Optimizer:
    """The optimizer over all weights; those of one axis (biases, batch norms) do not decay."""
    groups = [
        {"params": [weight for weight in net.parameters() if weight.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [weight for weight in net.parameters() if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    match settings:
        case Sgd():
            nesterov = settings.nesterov and settings.momentum > 0
            return torch.optim.SGD(groups, settings.rate, settings.momentum, nesterov=nesterov, fused=True)
        case AdamW():
            return torch.optim.AdamW(groups, settings.rate, settings.betas, fused=True)


def rate(schedule: Schedule, step: int, steps: int) -> float:
    """The learning rate at `step` of `steps`, as a share of its peak."""
    rising = schedule.warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    done = (step - rising) / (steps - rising)
    match schedule.type:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        case "linear":
            return 1 - done
        case "constant":
            return 1.0


def set_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = value


def clip(net: nn.Module, norm: float) -> None:
    """Scale the gradients down so that their norm over all weights is at most `norm`; 0 leaves them alone."""
    if norm > 0:
        nn.utils.clip_grad_norm_(net.parameters(), norm)


def averaged(net: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and batch statistics, which forgets faster at the start.

    The decay of update n is min(decay, (1 + n) / (10 + n)), as in TensorFlow's `ExponentialMovingAverage`.
    """

    def update(averages: Tensors, values: Tensors, updates: Tensor | int) -> None:
        count = int(updates)
        average = get_ema_multi_avg_fn(min(decay, (1 + count) / (10 + count)))  # type: ignore[no-untyped-call]
        average(averages, values, updates)

    return AveragedModel(net, multi_avg_fn=update, use_buffers=True)
