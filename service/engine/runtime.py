"""Which build of ONNX Runtime is installed: exactly one may be, since all builds own the same Python module.

Imports no `onnxruntime`, so that a wrong installation can be explained before the import fails on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata

from service.core.errors import Refused

#: Distribution -> the extra of `vitrine` that brings it.
EXTRAS: Mapping[str, str] = {
    "onnxruntime": "cpu",
    "onnxruntime-openvino": "openvino",
    "onnxruntime-gpu": "gpu",
}


@dataclass(frozen=True, slots=True)
class Runtime:
    """An installed distribution of ONNX Runtime and its version."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def installed_runtime(find: Callable[[str], str | None] | None = None) -> Runtime:
    """Return the one build that is installed. `find` maps a distribution's name to its version, or None without it.

    Raises `Refused` with the commands that repair the installation when there is none, or more than one: two builds
    overwrite each other's files, and what then runs is neither.
    """
    find = find or _version
    found = [Runtime(name, version) for name in EXTRAS if (version := find(name)) is not None]
    if not found:
        choices = " or ".join(f"pip install 'vitrine[{extra}]'" for extra in EXTRAS.values())
        raise Refused(f"ONNX Runtime is not installed; choose one build: {choices}")
    if len(found) > 1:
        raise Refused(_too_many(found))
    return found[0]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _too_many(found: list[Runtime]) -> str:
    there = " and ".join(map(str, found))
    names = " ".join(runtime.distribution for runtime in found)
    # The last one named is the special build, which is most likely the one that was wanted.
    wanted = EXTRAS[found[-1].distribution]
    return (
        f"{there} are installed together, but each overwrites the other's files; "
        f"keep one: pip uninstall -y {names} && pip install 'vitrine[{wanted}]'"
    )
