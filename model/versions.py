"""Published versions, by folder or by name, opened and verified."""

from __future__ import annotations

from pathlib import Path

from service.core.errors import InvalidInput, NoSuchModel
from service.core.messages import ModelKey
from service.engine.store import VERSION, ModelStore, StoredModel


def at(folder: Path) -> StoredModel:
    """Open and verify MODELS/NAME/VERSION. Raises `InvalidInput` or what the store raises."""
    folder = folder.resolve()
    if not VERSION.fullmatch(folder.name):
        raise InvalidInput("model", "must be the folder of a version, MODELS/NAME/VERSION", folder)
    return ModelStore(folder.parent.parent).open(ModelKey(folder.parent.name, int(folder.name)))


def named(text: str, models: Path) -> StoredModel:
    """Open and verify NAME or NAME:VERSION below `models`. Raises `InvalidInput`, `NoSuchModel` or `BrokenModel`."""
    name, _, number = text.partition(":")
    store = ModelStore(models)
    if not number:
        there = store.versions().get(name)
        if not there:
            raise NoSuchModel(f"no model {name!r} in {models}")
        return store.open(ModelKey(name, there[-1]))
    if not VERSION.fullmatch(number):
        raise InvalidInput("version", "must be a positive integer", repr(number))
    return store.open(ModelKey(name, int(number)))
