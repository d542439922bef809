"""Tunings kept on disk: one JSON file per model file, host, runtime and policy."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from service.core.tuning import Tuning
from service.engine.policy import EnginePolicy

#: Folder beside the model; hidden, so that nobody takes it for a version.
FOLDER = ".tuning"

#: Raise when tunings of an older Vitrine must be measured again.
_FORMAT = 4
_ADAPTER: TypeAdapter[Tuning] = TypeAdapter(Tuning)


@dataclass(frozen=True, slots=True)
class Host:
    """What a tuning depends on beside the model and the policy."""

    cpu: str
    cores: int  #: those this process may run on
    providers: tuple[str, ...]
    runtime: str  #: ONNX Runtime's version


def this_host(providers: tuple[str, ...], runtime: str) -> Host:
    """Describe the machine that this process runs on."""
    return Host(_cpu_model(), len(os.sched_getaffinity(0)), providers, runtime)


@dataclass(frozen=True, slots=True)
class TuningCache:
    """Where tunings are kept: `folders` in the order they are tried, the first writable one is written to."""

    folders: tuple[Path, ...]

    def read(self, key: str) -> tuple[Tuning | None, str]:
        """Return the tuning kept under a key, if any, and a warning when its file cannot be used."""
        for folder in self.folders:
            path = folder / f"{key}.json"
            try:
                tuning = _ADAPTER.validate_json(path.read_bytes())
            except FileNotFoundError:
                continue
            except (OSError, ValidationError) as error:
                return None, f"{path}: not a tuning that can be used, measuring again: {_first_line(error)}"
            return replace(tuning, cached=True), ""
        return None, ""

    def write(self, key: str, tuning: Tuning) -> str:
        """Keep a tuning, whole or not at all; returns a warning when no folder takes it."""
        problems: list[str] = []
        for folder in self.folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                _write_atomically(folder / f"{key}.json", _ADAPTER.dump_json(tuning, indent=2))
            except OSError as error:
                problems.append(f"{folder}: {error.strerror}")
            else:
                return ""
        return f"the tuning is not kept and will be measured at the next start: {'; '.join(problems)}"


def cache_for(model_folder: Path, policy: EnginePolicy, environment: Mapping[str, str]) -> TuningCache:
    """Return the cache of one model version: the policy's folder, else beside the model, then the user's cache folder.

    `environment` tells the user's cache folder as the XDG base directory specification has it.
    """
    if policy.cache_dir is not None:
        return TuningCache((policy.cache_dir,))
    user = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return TuningCache((model_folder / FOLDER, user / "vitrine" / "tuning"))


def cache_key(digest: str, host: Host, policy: EnginePolicy) -> str:
    """Return a file name's stem that differs whenever any part of host, policy, model or format does."""
    decisive = [getattr(policy, field.name) for field in fields(policy) if field.name != "cache_dir"]
    text = repr((_FORMAT, digest, host, decisive))
    return f"{digest[:8]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _write_atomically(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _cpu_model() -> str:
    with suppress(OSError), Path("/proc/cpuinfo").open() as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
