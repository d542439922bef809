"""The plots of a card, as PNG. No display and no global state: figures are drawn by matplotlib's Agg renderer."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model.evaluate import Bin, Evaluation

_WRITTEN_UP_TO = 20  #: classes; beyond, numbers in the cells cannot be read
_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#767676"  #: told apart by colour-blind readers too (Okabe and Ito)


def confusion(evaluation: Evaluation, labels: Sequence[str], title: str) -> bytes:
    """The confusion matrix: rows are the truth, colour is the share of the row, numbers are images."""
    counts = np.array(evaluation.confusion)
    if len(labels) == 1:
        labels = (f"not {labels[0]}", labels[0])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.8, 0.52 * len(labels)) if len(labels) <= _WRITTEN_UP_TO else 9.0
    figure = Figure(figsize=(side + 1.4, side + 0.6), layout="constrained")
    axes = figure.subplots()
    # The square root lifts the few mistakes of a good model out of the white.
    image = axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.82, label="share of the true class")
    ticks = (0, 0.01, 0.1, 0.25, 0.5, 1)
    bar.set_ticks(list(np.sqrt(ticks)), labels=[f"{tick:.0%}" for tick in ticks])
    axes.set_title(title)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(labels) <= _WRITTEN_UP_TO:
        _write_cells(axes, counts, shares, labels)
    return _png(figure)


def reliability(before: Evaluation, after: Evaluation, title: str) -> bytes:
    """The reliability diagram: how often decisions of a given confidence are right, before and after calibration."""
    figure = Figure(figsize=(6.4, 6.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    upper.plot((0, 1), (0, 1), color=_GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    for evaluation, name, colour, marker in (
        (before, "as trained", _ORANGE, "s"),
        (after, "calibrated", _BLUE, "o"),
    ):
        filled = [bin_ for bin_ in evaluation.bins if bin_.count]
        upper.plot(
            [bin_.confidence for bin_ in filled],
            [bin_.accuracy for bin_ in filled],
            color=colour,
            marker=marker,
            markersize=5,
            label=f"{name}: calibration error {evaluation.calibration_error:.4f}",
        )
    upper.set_ylabel("share that is right")
    upper.set_ylim(-0.03, 1.03)
    upper.set_title(title)
    upper.legend(loc="best", frameon=False)
    _histogram(lower, after.bins)
    return _png(figure)


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray, labels: Sequence[str]) -> None:
    turn = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if max(map(len, labels)) > 3 else {}
    axes.set_xticks(range(len(labels)), labels, **turn)  # type: ignore[arg-type]  # text properties of any kind
    axes.set_yticks(range(len(labels)), labels)
    for (row, column), count in np.ndenumerate(counts):
        dark = np.sqrt(shares[row, column]) > 0.6
        if count:
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color="white" if dark else "black")


def _histogram(axes: Axes, bins: Sequence[Bin]) -> None:
    middles, width = [(bin_.low + bin_.high) / 2 for bin_ in bins], bins[0].high - bins[0].low
    axes.bar(middles, [bin_.count for bin_ in bins], width=0.9 * width, color=_BLUE)
    axes.set_yscale("symlog", linthresh=1)
    most = max(bin_.count for bin_ in bins)
    powers = [10**power for power in range(len(str(most)))]
    axes.set_yticks([0, *powers], labels=[f"{tick:,}" for tick in (0, *powers)])
    axes.set_yticks([], minor=True)
    axes.set_ylim(0, 3 * most)
    axes.set_xlim(-0.01, 1.01)
    axes.set_xlabel("confidence")
    axes.set_ylabel("decisions")


def _png(figure: Figure) -> bytes:
    target = io.BytesIO()
    # Without the software's name the same numbers give the same bytes.
    figure.savefig(target, format="png", dpi=110, metadata={"Software": None})
    return target.getvalue()
