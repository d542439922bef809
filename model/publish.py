"""Put a model version into the models folder, whole or not at all: `<models>/<name>/<version>/`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from service.core import manifest
from service.core.errors import InvalidInput
from service.core.manifest import MANIFEST_FILE, MODEL_FILE, PROFILE_FILE, SAMPLES_FILE, Manifest
from service.engine.store import NAME, VERSION


def publish(models: Path, name: str, files: Mapping[str, bytes], version: int | None = None) -> Path:
    """Write `files` and their manifest as a version of `name`; returns its folder.

    `files` must hold `model.onnx` and `samples.npz`. Without `version` it is the next after the highest there;
    a given one must be higher than all there. A reader sees the whole version or none, also after a power cut, and
    publishers at the same time get different numbers. Raises `InvalidInput`.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput("name", f"must match {NAME.pattern}", repr(name))
    home = models / name
    home.mkdir(parents=True, exist_ok=True)
    # Hidden, so that no store looks at it; in the same folder, so that the rename stays inside one file system.
    draft = Path(mkdtemp(prefix=".publish-", dir=home))
    try:
        _write(draft, files)
        with _locked(home):
            folder = home / str(_number(home, version))
            draft.rename(folder)
            _sync(home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _number(home: Path, wanted: int | None) -> int:
    # Also folders without a manifest count: a number that anybody may have seen is never used again.
    highest = max((int(entry.name) for entry in home.iterdir() if VERSION.fullmatch(entry.name)), default=0)
    if wanted is not None and (wanted <= highest or not re.fullmatch(VERSION, str(wanted))):
        raise InvalidInput("version", f"must be higher than the highest published, {highest}", wanted)
    return wanted or highest + 1


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    served = [name for name in (MODEL_FILE, SAMPLES_FILE, PROFILE_FILE) if name in files]
    digests = {name: hashlib.sha256(files[name]).hexdigest() for name in served}
    for name, data in {**files, MANIFEST_FILE: manifest.to_json(Manifest(digests))}.items():
        with (folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    # mkdtemp makes folders for its owner only, but a server may run as somebody else.
    folder.chmod(0o755)
    _sync(folder)


def _sync(folder: Path) -> None:
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with _opened(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
