"""Training: one loop, from a recipe to the checkpoint that validation likes best.

Every random number comes from the recipe's seed and the number of the step, and the learning rate is a function of
the step. So a run that was killed and resumed takes the very steps that an undisturbed one takes: on one machine with
one number of threads, the weights are equal to the bit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from model import data, net, optimize, processes
from model.augment import augment
from model.checkpoint import BEST, LAST, Best, write_best
from model.data import Images, Splits
from model.processes import Processes
from model.recipe import Recipe, Training
from model.run_log import RunLog
from model.run_state import Parts, Position, Tally, restore, save
from service.core.errors import InvalidInput, Refused, ServiceError

#: What a random number is for, so that no two uses share a stream.
WEIGHTS, ORDER, AUGMENT, DROPOUT = range(4)
EVALUATION_BATCH = 500


class Diverged(ServiceError):
    """The loss or a weight is no finite number any more; going on cannot help."""


@dataclass(frozen=True, slots=True)
class Run:
    """What stays the same from step to step, if only by reference."""

    recipe: Recipe
    training: Training
    parts: Parts
    group: Processes
    folder: Path
    log: RunLog


def fit(
    recipe: Recipe,
    run_dir: Path,
    *,
    data_root: Path = Path("data"),
    resume: bool = False,
    console: Console | None = None,
) -> Path:
    """Train and return the path of the best checkpoint, `run_dir/best.pt`; `checkpoint.read_best` reads it.

    `run_dir` also gets `last.pt`, from which `resume` goes on, and `metrics.jsonl`. Under `torchrun` the global batch
    is shared among the processes. Raises `InvalidInput` when recipe and data do not fit or `run_dir` belongs to
    another recipe, `Refused` when it holds a run and `resume` was not asked for, `Diverged`.
    """
    if recipe.training is None:
        raise InvalidInput("recipe.training", "must be present to train", None)
    splits = data.load(recipe, data_root)
    if len(splits.train) < recipe.training.batch:
        raise InvalidInput("training.batch", f"must be at most the {len(splits.train)} images", recipe.training.batch)
    if len(splits.validation) == 0:
        raise InvalidInput("recipe.data", "must have images to validate on", 0)
    with processes.join() as group:
        processes.use_threads(recipe.training.threads, group)
        parts = _build(recipe, recipe.training)
        position = _start(recipe, parts, run_dir, resume=resume)
        group.wait()  # until all have looked at the folder, nobody writes to it
        steps = len(splits.train) // recipe.training.batch * recipe.training.epochs
        with RunLog(run_dir, steps, console or Console(stderr=True), visible=group.leads) as log:
            log.rewind(position.step)
            _train(Run(recipe, recipe.training, parts, group, run_dir, log), splits, position)
    return run_dir / BEST


def evaluate(model: nn.Module, images: Images, recipe: Recipe) -> tuple[float, float]:
    """Mean loss (without smoothing) and accuracy in 0..1 of a net in evaluation mode."""
    tally = Tally()
    with torch.inference_mode():
        for start in range(0, len(images), EVALUATION_BATCH):
            part = images[start : start + EVALUATION_BATCH]
            targets = torch.from_numpy(part.targets)
            logits = model(net.normalise(_channels_first(torch.from_numpy(part.pixels)), recipe.preprocess))
            loss = float(optimize.loss(logits, targets, recipe.head))
            right = float(optimize.correct(logits, targets, recipe.head))
            tally = tally.plus(loss * len(part), right, len(part))
    return tally.mean_loss, tally.accuracy


def _train(run: Run, splits: Splits, position: Position) -> None:
    recipe, training, parts = run.recipe, run.training, run.parts
    pixels, targets = torch.from_numpy(splits.train.pixels), torch.from_numpy(splits.train.targets)
    steps_per_epoch = len(pixels) // training.batch
    steps = steps_per_epoch * training.epochs
    share = run.group.share(training.batch)
    parallel = run.group.parallel(parts.net)
    began = time.monotonic() - position.seconds

    for epoch in range(position.step // steps_per_epoch, training.epochs):
        order = torch.randperm(len(pixels), generator=_generator(recipe.seed, ORDER, epoch))
        for place in range(position.step % steps_per_epoch, steps_per_epoch):
            step = position.step
            chosen = order[place * training.batch : (place + 1) * training.batch][share]
            torch.manual_seed(_mixed(recipe.seed, DROPOUT, step, run.group.rank))
            draws = _generator(recipe.seed, AUGMENT, step)
            images = augment(_channels_first(pixels[chosen]), training.augment, draws, training.batch, share.start)

            logits = parallel(net.normalise(images, recipe.preprocess))
            loss = optimize.loss(logits, targets[chosen], recipe.head, recipe.head.smoothing)
            right = optimize.correct(logits, targets[chosen], recipe.head)
            sums = run.group.total(torch.stack((loss.detach() * len(chosen), right)))
            if not sums.isfinite().all():
                raise _diverged("the loss", epoch, step, run.folder)

            optimize.set_rate(parts.optimizer, training.optimizer.rate * optimize.rate(training.schedule, step, steps))
            parts.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimize.clip(parts.net, training.clip)
            parts.optimizer.step()
            if parts.average is not None:
                parts.average.update_parameters(parts.net)

            tally = position.tally.plus(float(sums[0]), float(sums[1]), training.batch)
            position = replace(position, step=step + 1, seconds=time.monotonic() - began, tally=tally)
            run.log.show(position, epoch + 1, training.batch)
            if place + 1 == steps_per_epoch:
                position = _keep(run, position, epoch, splits.validation)
            elif position.step % training.checkpoint_steps == 0:
                position = _keep(run, position, epoch)
    run.group.wait()  # when anyone returns, the leader's last files are there


def _keep(run: Run, position: Position, epoch: int, validation: Images | None = None) -> Position:
    """Log and save; at the end of an epoch, when `validation` is given, judge first."""
    # A step may ruin the weights without showing in its own loss, and a checkpoint must be a good one.
    if not all(bool(weight.isfinite().all()) for weight in run.parts.net.parameters()):
        raise _diverged("a weight", epoch, position.step - 1, run.folder)
    run.log.write(_measured(position, epoch))
    if validation is not None:
        if run.group.leads:
            position = _judge(run, position, validation, epoch)
        position = replace(position, tally=Tally())
    if run.group.leads:
        save(run.folder / LAST, run.recipe, run.parts, position)
    return position


def _judge(run: Run, position: Position, images: Images, epoch: int) -> Position:
    """Evaluate the weights that would be published, and keep them if they are the best so far."""
    published = run.parts.published.eval()
    loss, accuracy = evaluate(published, images, run.recipe)
    run.parts.net.train()
    run.log.write(
        {"event": "validation", "epoch": epoch + 1, "step": position.step, "loss": loss, "accuracy": accuracy}
    )
    run.log.say(
        f"epoch {epoch + 1:3d}  train {position.tally.mean_loss:.4f} {position.tally.accuracy:.2%}"
        f"  validation {loss:.4f} {accuracy:.2%}  after {position.seconds:.0f} s"
    )
    if (accuracy, -loss) <= (position.best_accuracy, -position.best_loss):
        return position
    write_best(run.folder / BEST, Best(run.recipe, published.state_dict(), epoch + 1, loss, accuracy))
    return replace(position, best_accuracy=accuracy, best_loss=loss)


def _build(recipe: Recipe, training: Training) -> Parts:
    torch.manual_seed(_mixed(recipe.seed, WEIGHTS))
    # Images lie in memory with their channels last, and so do the fastest convolutions of a CPU.
    built = net.build(recipe).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stub
    average = optimize.averaged(built, training.ema) if training.ema > 0 else None
    return Parts(built, optimize.optimizer(built, training.optimizer), average)


def _start(recipe: Recipe, parts: Parts, run_dir: Path, *, resume: bool) -> Position:
    run_dir.mkdir(parents=True, exist_ok=True)
    last = run_dir / LAST
    if not last.exists():
        return Position()
    if not resume:
        raise Refused(f"{run_dir} already holds a run; resume it, or choose another folder")
    return restore(last, recipe, parts)


def _measured(position: Position, epoch: int) -> dict[str, float | str]:
    return {
        "event": "train",
        "epoch": epoch + 1,
        "step": position.step,
        "seconds": round(position.seconds, 3),
        "loss": position.tally.mean_loss,
        "accuracy": position.tally.accuracy,
    }


def _diverged(what: str, epoch: int, step: int, folder: Path) -> Diverged:
    last = folder / LAST
    kept = f"the last good checkpoint is {last}" if last.exists() else "there is no checkpoint yet"
    return Diverged(
        f"{what} is not finite in epoch {epoch + 1}, step {step}; {kept}. "
        "Try a smaller learning rate, a longer warmup, or training.clip"
    )


def _channels_first(pixels: Tensor) -> Tensor:
    """uint8 [n, height, width, channels] -> float32 [n, channels, height, width], the memory left as it lies."""
    return pixels.permute(0, 3, 1, 2).float()


def _mixed(*numbers: int) -> int:
    """One well-mixed 63-bit seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _generator(*numbers: int) -> torch.Generator:
    return torch.Generator().manual_seed(_mixed(*numbers))
