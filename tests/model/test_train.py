from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path

import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from model import checkpoint, data, optimize, recipe, train
from model.processes import Processes
from model.recipe import Head, Schedule
from service.core.errors import InvalidInput, Refused

Tiny = Callable[..., str]
ROOT = Path(__file__).parents[2]
STEPS_PER_EPOCH = 9  #: 144 training pictures in batches of 16


def fit(text: str, run_dir: Path, data_root: Path, *, resume: bool = False) -> Path:
    console = Console(file=StringIO())
    return train.fit(recipe.parse(text), run_dir, data_root=data_root, resume=resume, console=console)


def metrics(run_dir: Path, event: str) -> list[Mapping[str, float]]:
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == event]


def last_net(run_dir: Path) -> Mapping[str, Tensor]:
    weights: Mapping[str, Tensor] = checkpoint.read(run_dir / checkpoint.LAST)["net"]
    return weights


def assert_equal(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, weight in left.items():
        assert torch.equal(weight, right[name]), name


def test_a_run_learns_and_keeps_its_best(tmp_path: Path, tiny_data: Path, tiny: Tiny) -> None:
    """The best checkpoint rebuilds a net that scores on validation what the metrics say."""
    best = fit(tiny(epochs=6), tmp_path / "run", tiny_data)

    chosen = checkpoint.read_best(best)
    assert chosen.accuracy > 0.9
    assert chosen.accuracy == max(line["accuracy"] for line in metrics(tmp_path / "run", "validation"))
    validation = data.load(chosen.recipe, tiny_data).validation
    assert train.evaluate(chosen.net(), validation, chosen.recipe) == pytest.approx((chosen.loss, chosen.accuracy))


def test_metrics_say_where_a_run_is(tmp_path: Path, tiny_data: Path, tiny: Tiny) -> None:
    """One line per checkpoint and epoch, one per validation."""
    fit(tiny(epochs=2), tmp_path / "run", tiny_data)

    assert [line["step"] for line in metrics(tmp_path / "run", "train")] == [4, 8, 9, 12, 16, 18]
    assert [line["epoch"] for line in metrics(tmp_path / "run", "validation")] == [1, 2]
    assert {"loss", "accuracy", "seconds"} <= metrics(tmp_path / "run", "train")[0].keys()


def test_the_same_seed_gives_the_same_weights(tmp_path: Path, tiny_data: Path, tiny: Tiny) -> None:
    """Two runs of one recipe agree to the bit; another seed does not."""
    for name, seed in (("one", 7), ("two", 7), ("other", 8)):
        fit(tiny(seed=seed, epochs=1), tmp_path / name, tiny_data)

    assert_equal(last_net(tmp_path / "one"), last_net(tmp_path / "two"))
    assert not torch.equal(last_net(tmp_path / "one")["dense1.weight"], last_net(tmp_path / "other")["dense1.weight"])


RUN = """
import sys
from pathlib import Path
from model import recipe, train
train.fit(recipe.load(Path(sys.argv[1])), Path(sys.argv[2]), data_root=Path(sys.argv[3]))
"""


@pytest.mark.slow
def test_killed_in_mid_epoch_and_resumed_it_ends_the_same(tmp_path: Path, tiny_data: Path, tiny: Tiny) -> None:
    """SIGKILL, then `resume`: weights, moving average and metrics are those of the undisturbed run."""
    text = tiny(epochs=30)
    (tmp_path / "recipe.toml").write_text(text)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    child = subprocess.Popen(
        [sys.executable, "-c", RUN, tmp_path / "recipe.toml", killed, tiny_data], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    _wait_for_mid_epoch(killed, child)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert 0 < checkpoint.read(killed / checkpoint.LAST)["position"]["step"] < 30 * STEPS_PER_EPOCH

    fit(text, killed, tiny_data, resume=True)
    fit(text, whole, tiny_data)

    assert_equal(last_net(killed), last_net(whole))
    one, other = (checkpoint.read_best(folder / checkpoint.BEST) for folder in (killed, whole))
    assert_equal(one.weights, other.weights)
    assert (one.epoch, one.loss, one.accuracy) == (other.epoch, other.loss, other.accuracy)
    assert _without_time(metrics(killed, "train")) == _without_time(metrics(whole, "train"))


def _wait_for_mid_epoch(run_dir: Path, child: subprocess.Popen[bytes]) -> None:
    """Return as soon as a checkpoint in the middle of the second or a later epoch was written."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert child.poll() is None, "the run ended before it could be killed"
        if (run_dir / checkpoint.LAST).exists():
            step = checkpoint.read(run_dir / checkpoint.LAST)["position"]["step"]
            if step > STEPS_PER_EPOCH and step % STEPS_PER_EPOCH:
                return
        time.sleep(0.005)  # between two looks
    pytest.fail("no checkpoint in mid-epoch within two minutes")


def _without_time(lines: list[Mapping[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_a_torn_last_line_of_the_metrics_is_dropped_on_resume(tmp_path: Path, tiny_data: Path, tiny: Tiny) -> None:
    """A line cut short by a kill, and lines past the checkpoint, are not kept twice."""
    fit(tiny(), tmp_path / "run", tiny_data)
    path = tmp_path / "run" / "metrics.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"event": "train", "step": 9999}\n{"event": "tr')

    fit(tiny(), tmp_path / "run", tiny_data, resume=True)
    assert path.read_text() == whole


def test_a_run_is_not_overwritten(tmp_path: Path, tiny_data: Path, tiny: Tiny) -> None:
    """A folder that holds a run must be resumed, and only by its own recipe."""
    fit(tiny(epochs=1), tmp_path / "run", tiny_data)

    with pytest.raises(Refused, match="already holds a run; resume it, or choose another folder"):
        fit(tiny(epochs=1), tmp_path / "run", tiny_data)
    with pytest.raises(InvalidInput, match="must be of the recipe with digest"):
        fit(tiny(epochs=2), tmp_path / "run", tiny_data, resume=True)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, tiny_data: Path, tiny: Tiny) -> None:
    """With an absurd learning rate the run says where it broke, and the checkpoint it leaves is a good one."""
    with pytest.raises(train.Diverged) as caught:
        fit(
            tiny(rate=1e10, checkpoint_steps=1, layers=False).replace('"relu"', '"leaky_relu"'),
            tmp_path / "run",
            tiny_data,
        )

    last = tmp_path / "run" / checkpoint.LAST
    assert "is not finite in epoch 1, step" in str(caught.value)
    assert f"the last good checkpoint is {last}" in str(caught.value)
    assert all(weight.isfinite().all() for weight in last_net(tmp_path / "run").values())


PARALLEL = """
import sys
from pathlib import Path
import torch
from PIL import Image
from model import optimize, recipe, train

seen, nets = [], []
augment, clip = train.augment, optimize.clip

def seeing(pixels, *rest):
    seen.append(pixels[:, 0, 0, 0].int().tolist())
    return augment(pixels, *rest)

def keeping(net, norm):
    nets[:] = [net]
    clip(net, norm)

train.augment, optimize.clip = seeing, keeping
train.fit(recipe.load(Path(sys.argv[1])), Path(sys.argv[2]), data_root=Path(sys.argv[3]))
rank = __import__("os").environ["RANK"]
torch.save({"seen": seen, "net": nets[0].state_dict()}, f"{sys.argv[2]}/rank{rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path, tiny_data: Path, tiny: Tiny) -> None:
    """Under torchrun, two processes see disjoint halves of each batch and end with one process's weights.

    Without batch norm and dropout, whose numbers depend on a process's share; to 1e-5, since sums add up in
    another order.
    """
    text = tiny(layers=False)
    (tmp_path / "recipe.toml").write_text(text)
    (tmp_path / "run.py").write_text(PARALLEL)
    both, single = tmp_path / "both", tmp_path / "single"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, tmp_path / "run.py", tmp_path / "recipe.toml", both, tiny_data],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    fit(text, single, tiny_data)

    first, second = (torch.load(both / f"rank{rank}.pt") for rank in (0, 1))
    for batch in zip(first["seen"], second["seen"], strict=True):
        assert [len(part) for part in batch] == [8, 8]
        assert not set(batch[0]) & set(batch[1])
    epoch = [number for part in (first, second) for batch in part["seen"][:STEPS_PER_EPOCH] for number in batch]
    assert len(epoch) == len(set(epoch)) == 144
    assert_equal(first["net"], second["net"])
    for name, weight in last_net(single).items():
        assert torch.allclose(weight, last_net(both)[name], rtol=0, atol=1e-5), name
    assert len(metrics(both, "validation")) == len(metrics(single, "validation")) == 3


def test_a_batch_must_divide_among_the_processes() -> None:
    """Seventeen images cannot be shared evenly by two."""
    with pytest.raises(InvalidInput, match=r"training\.batch: must be a multiple of the 2 processes, got 17"):
        Processes(0, 2).share(17)


def test_a_recipe_without_training_cannot_be_trained(tmp_path: Path) -> None:
    """The guide's weights stand in its recipe."""
    guide = recipe.load(ROOT / "model" / "recipes" / "guide.toml")

    with pytest.raises(InvalidInput, match=r"recipe\.training: must be present to train"):
        train.fit(guide, tmp_path)


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path, tiny_data: Path, tiny: Tiny) -> None:
    """One step needs one whole batch."""
    with pytest.raises(InvalidInput, match=r"training\.batch: must be at most the 144 images, got 145"):
        fit(tiny().replace("batch = 16", "batch = 145"), tmp_path, tiny_data)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule("constant"), [1.0, 1.0, 1.0, 1.0]),
        (Schedule("linear"), [1.0, 0.75, 0.5, 0.25]),
        (Schedule("cosine"), [1.0, 0.8535534, 0.5, 0.1464466]),
        (Schedule("cosine", warmup=0.5), [1 / 3, 2 / 3, 1.0, 0.5]),
    ],
)
def test_the_learning_rate_is_a_function_of_the_step(schedule: Schedule, expected: list[float]) -> None:
    """Four steps of each schedule."""
    assert [optimize.rate(schedule, step, 4) for step in range(4)] == pytest.approx(expected)


def test_the_moving_average_forgets_its_start() -> None:
    """Update n has decay min(decay, (1 + n) / (10 + n)): after 1, then 2, the average of 0 is as by hand."""
    net = torch.nn.Linear(1, 1, bias=False)
    average = optimize.averaged(net, decay=0.15)
    values = []
    for value in (1.0, 2.0, 3.0):
        torch.nn.init.constant_(net.weight, value)
        average.update_parameters(net)
        values.append(average.module.get_parameter("weight").item())

    # The first update copies; the second has decay 2 / 11, cut to 0.15.
    second = 0.15 * 1 + 0.85 * 2
    assert values == pytest.approx([1.0, second, 0.15 * second + 0.85 * 3])


def test_sigmoid_heads_count_labels() -> None:
    """Two of three labels right is two thirds of an image."""
    logits, targets = torch.tensor([[1.0, -1.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0]])

    assert float(optimize.correct(logits, targets, Head("sigmoid", ("a", "b", "c")))) == pytest.approx(2 / 3)


def test_biases_and_norms_do_not_decay() -> None:
    """Weight decay is for weights of more than one axis."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    decaying, free = optimize.optimizer(net, recipe.Sgd("sgd", rate=0.1, weight_decay=0.3)).param_groups

    assert (decaying["weight_decay"], len(decaying["params"])) == (0.3, 1)
    assert (free["weight_decay"], len(free["params"])) == (0.0, 3)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    """Neither garbage nor another kind of checkpoint passes for the best one."""
    path = tmp_path / "best.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(InvalidInput, match=r"best\.pt: must be a checkpoint"):
        checkpoint.read_best(path)
    checkpoint.write(path, {"weights": {}})
    with pytest.raises(InvalidInput, match=r"must be the best checkpoint of a run; it lacks, got 'recipe'"):
        checkpoint.read_best(path)


def test_a_run_without_validation_is_refused(tmp_path: Path) -> None:
    """Choosing weights needs pictures to choose by."""
    for split in ("train", "val"):
        for label in ("cat", "dog"):
            (tmp_path / split / label).mkdir(parents=True)
    for label in ("cat", "dog"):
        Image.new("L", (4, 4)).save(tmp_path / "train" / label / "0.png")
    text = """
name = "blind"
input = { channels = 1, height = 4, width = 4 }
data = { type = "folder", path = "." }
head = { type = "softmax", labels = ["cat", "dog"] }
layers = [{ type = "flatten" }, { type = "dense", units = 2 }]
training = { epochs = 1, batch = 2, optimizer = { type = "sgd", rate = 0.1 } }
"""

    with pytest.raises(InvalidInput, match=r"recipe\.data: must have images to validate on, got 0"):
        fit(text, tmp_path / "run", tmp_path)
