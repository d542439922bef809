"""`vitrine version`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

#: The builds of ONNX Runtime; an environment holds one of them.
RUNTIMES = ("onnxruntime", "onnxruntime-openvino", "onnxruntime-gpu")


def lines() -> list[str]:
    """Vitrine's version first, then those of Python and of the libraries that matter in a bug report."""
    found = [f"{name} {number}" for name in ("grpcio", *RUNTIMES) if (number := _installed(name))]
    return [f"vitrine {_installed('vitrine') or 'not installed'}", f"python {platform.python_version()}", *found]


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
