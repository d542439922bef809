"""Publish any PyTorch module: `pkg.module:factory` builds it, a file brings its weights, another its labels."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from model.release import Pictures
from service.core.errors import BadImage, InvalidInput
from service.core.image import decode
from service.core.image_header import Limits
from service.core.spec import Spec

_SHOWN = 5


def build(factory: str) -> nn.Module:
    """Call `pkg.module:factory` without arguments. The current folder is searched too. Raises `InvalidInput`."""
    module_name, _, attribute = factory.partition(":")
    if not module_name or not attribute:
        raise InvalidInput("factory", "must be written pkg.module:factory", factory)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InvalidInput("factory", f"module {module_name} cannot be imported ({error})", factory) from error
    if not callable(make := getattr(module, attribute, None)):
        raise InvalidInput("factory", f"{module_name} has no function or class {attribute}", factory)
    net = make()
    if not isinstance(net, nn.Module):
        raise InvalidInput("factory", "must return a torch.nn.Module", type(net).__name__)
    return net


def load_weights(net: nn.Module, path: Path) -> None:
    """Load a state dict, alone or under the key `state_dict`, every name and shape of which must fit.

    Only tensors and plain containers are unpickled. Raises `InvalidInput`.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InvalidInput("weights", f"must be a readable file ({error.strerror})", path) from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        limit = "must be a file of torch.save that holds tensors only"
        raise InvalidInput("weights", f"{limit} ({_first_line(error)})", path) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict):
        raise InvalidInput("weights", "must hold a state dict", type(loaded).__name__)
    _check_names(net, loaded, path)
    try:
        net.load_state_dict(loaded, strict=True)
    except RuntimeError as error:
        raise InvalidInput("weights", f"must fit the network ({str(error).splitlines()[-1].strip()})", path) from None


def read_labels(path: Path) -> tuple[str, ...]:
    """One label per line in the order of the logits; empty lines and lines starting with `#` do not count."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("labels", f"must be a readable UTF-8 text file ({error})", path) from None
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def read_pictures(folder: Path, spec: Spec) -> Pictures:
    """Every file of a folder, sorted by name, decoded and prepared as the server will.

    Raises `InvalidInput` naming the file that is no picture, or the folder that has none.
    """
    paths = sorted(path for path in folder.glob("*") if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise InvalidInput("samples", "must be a folder of pictures", folder)
    return Pictures(np.stack([_picture(path, spec) for path in paths]), names=tuple(path.name for path in paths))


def _picture(path: Path, spec: Spec) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    try:
        return decode(path.read_bytes(), spec, Limits())
    except BadImage as error:
        raise InvalidInput(f"samples.{path.name}", "must be a picture", error) from None


def _check_names(net: nn.Module, weights: dict[str, object], path: Path) -> None:
    wanted = net.state_dict().keys()
    missing, unknown = wanted - weights.keys(), weights.keys() - wanted
    if missing or unknown:
        limit = f"must fit the network (missing: {_some(missing)}; unknown: {_some(unknown)})"
        raise InvalidInput("weights", limit, path)


def _first_line(error: Exception) -> str:
    """Of the message, or the kind of an error that has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _some(names: set[str]) -> str:
    shown: Sequence[str] = sorted(names)[:_SHOWN]
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(shown) + rest if names else "none"
