"""What the commands say of what was made and measured, as tables for people."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from model.card import Card
from model.evaluate import Evaluation

_SHOWN = 8  #: examples of answers


def quality(title: str, result: Evaluation) -> Table:
    """Per-class quality."""
    table = Table("label", "images", "precision", "recall", "F1", title=title)
    for c in result.classes:
        table.add_row(c.label, f"{c.support:,}", f"{c.precision:.4f}", f"{c.recall:.4f}", f"{c.f1:.4f}")
    return table


def release(card: Card, written: Path) -> Table:
    """What was written, what it weighs, and how good it is."""
    table = Table(title=f"{card.name} -> {written}", show_header=False)
    table.add_row("file", f"{card.size.file_bytes:,} bytes, sha256 {card.digest[:16]}...")
    if card.parity:
        table.add_row("against PyTorch", f"{card.parity.max_abs_logit_difference:.2g} on {card.parity.images:,} images")
    if card.quantisation:
        made = card.quantisation
        table.add_row("int8 of", f"{made.source}, calibrated on {made.calibrated_on:,} pictures: {made.calibration}")
        table.add_row("against fp32", f"same answer on {made.same_decisions:,} of {made.images:,} pictures")
        if made.accuracy_before is not None:
            table.add_row("accuracy of fp32", f"{made.accuracy_before:.2%}")
    if card.quality:
        test = card.quality.test
        table.add_row("accuracy", f"{test.accuracy:.2%} on {test.images:,} images of {card.quality.split}")
        before = card.quality.calibration_error_before
        table.add_row("calibration error", f"{before:.4f} -> {test.calibration_error:.4f} (t = {card.temperature:.3f})")
    for example in card.examples[:_SHOWN]:
        table.add_row(example.picture, ", ".join(f"{p.label} {p.score:.1%}" for p in example.predictions))
    return table
