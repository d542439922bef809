"""Stories about other people's networks, weights and labels: what is taken, and what is refused with which words."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from model import importing
from service.core.errors import InvalidInput
from service.core.spec import Spec

pytestmark = pytest.mark.train

SPEC = Spec("theirs", 3, 8, 8, ("a", "b"))


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 2))


@pytest.fixture
def net_file(net: nn.Module, tmp_path: Path) -> Path:
    torch.save(net.state_dict(), tmp_path / "net.pt")
    return tmp_path / "net.pt"


def test_a_factory_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the current folder is enough; it need not be installed."""
    (tmp_path / "their_package_a.py").write_text("from torch import nn\ndef make(): return nn.Linear(3, 2)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    built = importing.build("their_package_a:make")

    assert isinstance(built, nn.Linear)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("torch.nn", "must be written pkg.module:factory"),
        (":make", "must be written pkg.module:factory"),
        ("no_such_module_x:make", "module no_such_module_x cannot be imported"),
        ("torch.nn:NoSuchThing", "torch.nn has no function or class NoSuchThing"),
        ("builtins:dict", "must return a torch.nn.Module, got dict"),
    ],
)
def test_a_factory_that_cannot_be_used_says_why(factory: str, words: str) -> None:
    """The message names the part that is wrong."""
    with pytest.raises(InvalidInput, match=f"factory: .*{words}"):
        importing.build(factory)


@pytest.mark.parametrize("wrap", [False, True])
def test_weights_are_loaded(net: nn.Module, net_file: Path, *, wrap: bool) -> None:
    """A bare state dict, or one under the key `state_dict` as many training scripts write it."""
    if wrap:
        torch.save({"state_dict": net.state_dict(), "epoch": 3}, net_file)
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))

    importing.load_weights(other, net_file)

    torch.testing.assert_close(other.state_dict(), net.state_dict())


def test_weights_with_other_names_are_refused_by_name(net_file: Path) -> None:
    """What is missing and what is unknown, a few of each."""
    other = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.BatchNorm2d(2))

    with pytest.raises(InvalidInput) as caught:
        importing.load_weights(other, net_file)

    assert "missing: 0.bias, 0.weight, 1.num_batches_tracked, 1.running_mean, 1.running_var and 5 more" in str(
        caught.value
    )
    assert "unknown: none" in str(caught.value)


def test_weights_of_another_shape_are_refused(net_file: Path) -> None:
    """The message has both shapes."""
    with pytest.raises(InvalidInput, match=r"size mismatch for 1.bias: .*\[2\].*\[3\]"):
        importing.load_weights(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), net_file)


def test_code_in_a_weights_file_is_not_run(net: nn.Module, tmp_path: Path) -> None:
    """A pickle may call any function when loaded; this one would leave a file."""

    class Attack:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "touched",))

    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"1.weight": Attack()}, protocol=2))

    with pytest.raises(InvalidInput, match=r"weights: must be a file of torch\.save that holds tensors only"):
        importing.load_weights(net, tmp_path / "evil.pt")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [b"", b"no weights at all"])
def test_a_file_that_is_no_checkpoint_is_refused(net: nn.Module, tmp_path: Path, content: bytes) -> None:
    """Empty or text."""
    (tmp_path / "net.pt").write_bytes(content)

    with pytest.raises(InvalidInput, match=r"weights: must be a file of torch\.save"):
        importing.load_weights(net, tmp_path / "net.pt")


def test_a_weights_file_that_is_not_there_is_named(net: nn.Module, tmp_path: Path) -> None:
    """The path is in the message."""
    with pytest.raises(InvalidInput, match=r"readable file \(No such file or directory\), got .*absent\.pt"):
        importing.load_weights(net, tmp_path / "absent.pt")


def test_labels_are_lines(tmp_path: Path) -> None:
    """Empty lines and comments do not count, spaces around a label neither."""
    (tmp_path / "labels.txt").write_text("# mine\ncat\n\n  dog \n")

    assert importing.read_labels(tmp_path / "labels.txt") == ("cat", "dog")


def test_labels_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """Not there, or not text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    for name in ("absent", "binary"):
        with pytest.raises(InvalidInput, match="labels: must be a readable UTF-8 text file"):
            importing.read_labels(tmp_path / name)


def test_sample_pictures_are_prepared_as_by_the_server(tmp_path: Path) -> None:
    """Sorted by name, of any size and colour, hidden files left out."""
    Image.new("L", (20, 30), 200).save(tmp_path / "b.png")
    Image.new("RGB", (40, 20), (255, 0, 0)).save(tmp_path / "a.jpg", quality=95)
    (tmp_path / ".DS_Store").write_bytes(b"noise")

    pictures = importing.read_pictures(tmp_path, SPEC)

    assert pictures.names == ("a.jpg", "b.png")
    assert pictures.real.shape == (2, 8, 8, 3)
    assert np.unique(pictures.real[1]).tolist() == [200]
    assert pictures.real[0].mean(axis=(0, 1)) == pytest.approx((254, 0, 0), abs=2)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """Nothing is proved on nothing."""
    with pytest.raises(InvalidInput, match="samples: must be a folder of pictures"):
        importing.read_pictures(tmp_path, SPEC)


def test_a_sample_that_is_no_picture_is_named(tmp_path: Path) -> None:
    """One bad file among many is found by its name."""
    (tmp_path / "notes.txt").write_text("not a picture")

    with pytest.raises(InvalidInput, match=r"samples\.notes\.txt: must be a picture"):
        importing.read_pictures(tmp_path, SPEC)
