"""The models folder: `<root>/<name>/<version>/{manifest.json, model.onnx, samples.npz}`, verified when opened."""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from service.core import manifest
from service.core.drift import Profile
from service.core.errors import Code, InvalidInput, NoSuchModel, Refused, ServiceError
from service.core.manifest import MANIFEST_FILE, MODEL_FILE, PROFILE_FILE, SAMPLES_FILE
from service.core.messages import ModelKey
from service.core.spec import Spec
from service.engine.inspection import read_graph, read_spec

#: A model's name: a letter or digit, then up to 99 letters, digits, dots, underscores or hyphens.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
#: A version: a positive integer of at most 9 digits, written without leading zeros.
VERSION = re.compile(r"[1-9][0-9]{0,8}")

_QUANTILES = "quantiles/"  # before a layer's id in a profile

#: Inode, modification time in nanoseconds and size in bytes per file: changes whenever a file is replaced or edited.
Fingerprint = tuple[tuple[str, int, int, int], ...]


class BrokenModel(ServiceError):
    """A published version that cannot be served: `file` of `key` has `problem`."""

    code = Code.REFUSED

    def __init__(self, key: ModelKey, file: str, problem: str) -> None:
        super().__init__(f"{key}: {file}: {problem}")
        self.key = key
        self.file = file
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Samples:
    """Real pictures and what CPU fp32 made of them at export.

    `pixels` uint8 [N, height, width, channels]; `logits` float32 [N, classes]; N >= 1.
    """

    pixels: NDArray[np.uint8]
    logits: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A verified version. It holds the file's bytes: keep it while loading, not longer."""

    key: ModelKey
    folder: Path
    spec: Spec
    digest: str  #: SHA-256 of `model`, in hex
    model: bytes = field(repr=False)

    def samples(self) -> Samples:
        """Read the stored samples; raises `BrokenModel` when they do not fit the spec."""
        try:
            with (self.folder / SAMPLES_FILE).open("rb") as file, NpzFile(file) as arrays:
                samples = Samples(arrays["pixels"], arrays["logits"])
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise BrokenModel(self.key, SAMPLES_FILE, f"cannot be read: {error}") from None
        _check_samples(self.key, self.spec, samples)
        return samples

    def profile(self) -> Profile | None:
        """Read what layers gave at export, if that was stored; raises `BrokenModel` when it cannot be read."""
        path = self.folder / PROFILE_FILE
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, NpzFile(file) as arrays:
                layers = {name: array for name, array in arrays.items() if name.startswith(_QUANTILES)}
                images = int(arrays["images"])
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise BrokenModel(self.key, PROFILE_FILE, f"cannot be read: {error}") from None
        return Profile(images, {name.removeprefix(_QUANTILES): array for name, array in layers.items()})


class ModelStore:
    """The published versions under one folder. Holds no state: every call looks at the disk.

    With `only` given, versions of other models are not listed.
    """

    def __init__(self, root: Path, only: Collection[str] = ()) -> None:
        self.root = root
        self._only = only

    def versions(self) -> dict[str, tuple[int, ...]]:
        """Names and their versions, both ascending: folders named as `NAME` and `VERSION` say that hold a manifest.

        Others (hidden, temporary) are not looked at. Raises `Refused` when the models folder itself cannot be read.
        """
        found = {name.name: _versions(name) for name in self._folders()}
        return {name: versions for name, versions in sorted(found.items()) if versions}

    def fingerprint(self, key: ModelKey) -> Fingerprint:
        """Tell cheaply whether a version's files are still the same ones; raises `NoSuchModel`."""
        folder = self._folder(key)
        return tuple(_stat(folder / name) for name in (MANIFEST_FILE, MODEL_FILE, SAMPLES_FILE))

    def open(self, key: ModelKey) -> StoredModel:
        """Verify every file against the manifest and read the spec; raises `NoSuchModel` or `BrokenModel`."""
        folder = self._folder(key)
        digests = _read_manifest(key, folder)
        for name in sorted(digests.keys() - {MODEL_FILE}):
            _verified(key, folder, name, digests[name])
        model = _verified(key, folder, MODEL_FILE, digests[MODEL_FILE])
        return StoredModel(key, folder, _spec(key, model), digests[MODEL_FILE], model)

    def _folders(self) -> Iterator[Path]:
        try:
            entries = list(self.root.iterdir())
        except OSError as error:
            raise Refused(f"models folder {self.root} cannot be read: {error.strerror}") from None
        named = (entry for entry in entries if NAME.fullmatch(entry.name) and entry.is_dir())
        return (entry for entry in named if not self._only or entry.name in self._only)

    def _folder(self, key: ModelKey) -> Path:
        folder = self.root / key.name / str(key.version)
        # The name comes from a request: matching it first keeps "../" from leaving the root.
        named = NAME.fullmatch(key.name) and VERSION.fullmatch(str(key.version))
        if not named or not (folder / MANIFEST_FILE).is_file():
            raise NoSuchModel(f"no model {key} in {self.root}")
        return folder


def _versions(folder: Path) -> tuple[int, ...]:
    published = (version for version in folder.iterdir() if VERSION.fullmatch(version.name))
    return tuple(sorted(int(version.name) for version in published if (version / MANIFEST_FILE).is_file()))


def _stat(path: Path) -> tuple[str, int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        # A missing file is a state of its own: the watcher sees when it appears.
        return (path.name, 0, 0, 0)
    return (path.name, stat.st_ino, stat.st_mtime_ns, stat.st_size)


def _read_manifest(key: ModelKey, folder: Path) -> dict[str, str]:
    try:
        files = manifest.from_json((folder / MANIFEST_FILE).read_bytes()).files
    except (OSError, InvalidInput) as error:
        raise BrokenModel(key, MANIFEST_FILE, str(error)) from None
    for name in (MODEL_FILE, SAMPLES_FILE):
        if name not in files:
            raise BrokenModel(key, MANIFEST_FILE, f"does not list {name}")
    for name in files:
        if Path(name).name != name:
            raise BrokenModel(key, MANIFEST_FILE, f"lists {name!r}, which is not a file name")
    return files


def _verified(key: ModelKey, folder: Path, name: str, digest: str) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except FileNotFoundError:
        raise BrokenModel(key, name, "is missing") from None
    except OSError as error:
        raise BrokenModel(key, name, f"cannot be read: {error.strerror}") from None
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise BrokenModel(key, name, f"SHA-256 is {found}, but the manifest says {digest}")
    return data


def _spec(key: ModelKey, model: bytes) -> Spec:
    try:
        return read_spec(read_graph(model))
    except InvalidInput as error:
        raise BrokenModel(key, MODEL_FILE, str(error)) from None


def _check_samples(key: ModelKey, spec: Spec, samples: Samples) -> None:
    count = len(samples.pixels) if samples.pixels.ndim else 0
    wanted = (
        ("pixels", samples.pixels, np.uint8, spec.shape),
        ("logits", samples.logits, np.float32, (len(spec.labels),)),
    )
    for name, array, dtype, shape in wanted:
        if count == 0 or array.dtype != dtype or array.shape != (count, *shape):
            limit = f"must be {np.dtype(dtype).name} [N, {', '.join(map(str, shape))}] with N >= 1, the same for both"
            raise BrokenModel(key, SAMPLES_FILE, f"{name} {limit}, got {array.dtype} {list(array.shape)}")
