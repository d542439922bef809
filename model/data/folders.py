"""A user's folders of pictures, decoded by the code that serves."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.data.splits import Images, Splits, held_out
from model.recipe import Folder, Head, Recipe
from service.core.errors import InvalidInput
from service.core.image import Limits, decode
from service.core.spec import Spec

LABELS_FILE = "labels.csv"


@dataclass(frozen=True, slots=True)
class Listing:
    """Pictures not yet read, and their targets as in `Images`."""

    paths: Sequence[Path]
    targets: NDArray[np.int64] | NDArray[np.float32]

    def divide(self, share: float) -> tuple[Listing, Listing]:
        """What stays, and the share of each class that is held out; several labels per picture are one class."""
        one_label = self.targets.ndim == 1 or self.targets.shape[1] == 1
        classes = self.targets.reshape(-1) if one_label else np.zeros(len(self.paths))
        held = held_out(classes.astype(np.int64), share)
        return self._only(~held), self._only(held)

    def _only(self, rows: NDArray[np.bool_]) -> Listing:
        return Listing([path for path, kept in zip(self.paths, rows, strict=True) if kept], self.targets[rows])


def load_folder(data: Folder, recipe: Recipe, folder: Path) -> Splits:
    """List, divide where the folder is not yet divided, and decode. Raises `InvalidInput`, see `model.data.load`."""
    if not folder.is_dir():
        raise InvalidInput("recipe.data.path", "must be a folder", folder)
    train = _listing(folder / "train" if (folder / "train").is_dir() else folder, recipe.head)
    test = None
    if (folder / "test").is_dir():
        test = _listing(folder / "test", recipe.head)
    elif data.test > 0:
        train, test = train.divide(data.test)
    if (folder / "val").is_dir():
        validation = _listing(folder / "val", recipe.head)
    else:
        train, validation = train.divide(data.validation)
    spec = recipe.spec()
    return Splits(_read(train, spec), _read(validation, spec), None if test is None else _read(test, spec))


def _listing(folder: Path, head: Head) -> Listing:
    """The pictures of one split in the order of their names."""
    if head.task == "multilabel":
        return _from_table(folder / LABELS_FILE, head)
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    missing = sorted(set(head.labels) - set(names))
    if missing:
        raise InvalidInput(str(folder), "must hold one folder per label; there is none for", ", ".join(missing))
    unknown = sorted(set(names) - set(head.labels))
    if unknown and head.task == "multiclass":
        raise InvalidInput(str(folder), "must hold folders of the head's labels only", ", ".join(unknown))
    pairs = [(path, name) for name in names for path in _pictures(folder / name)]
    paths = [path for path, _ in pairs]
    if head.task == "binary":
        return Listing(paths, np.array([[name == head.labels[0]] for _, name in pairs], np.float32))
    return Listing(paths, np.array([head.labels.index(name) for _, name in pairs], np.int64))


def _from_table(table: Path, head: Head) -> Listing:
    if not table.is_file():
        raise InvalidInput(str(table), "a multi-label head needs it, with a column `file` and one per label", "no file")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = rows[0].keys() if rows else ()
    missing = [column for column in ("file", *head.labels) if column not in columns]
    if missing:
        raise InvalidInput(str(table), "must have rows, and a column for each label; there is none for", missing)
    for line, row in enumerate(rows, start=2):
        for label in head.labels:
            if row[label] not in ("0", "1"):
                raise InvalidInput(f"{table}, line {line}, {label}", "must be 0 or 1", row[label])
    targets = np.array([[row[label] == "1" for label in head.labels] for row in rows], np.float32)
    return Listing([table.parent / row["file"] for row in rows], targets)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _read(listing: Listing, spec: Spec) -> Images:
    with ThreadPoolExecutor() as pool:
        pictures = list(pool.map(lambda path: _decode(path, spec), listing.paths))
    pixels = np.stack(pictures) if pictures else np.empty((0, *spec.shape), np.uint8)
    return Images(pixels, listing.targets)


def _decode(path: Path, spec: Spec) -> NDArray[np.uint8]:
    try:
        return decode(path.read_bytes(), spec, Limits())
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error.field}", error.limit, error.value) from None
