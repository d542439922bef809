"""What a model's layers give on real pictures, stored beside it: what drift is measured against."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model import reference
from model.checkpoint import write_bytes
from service.core import manifest
from service.core.drift import Profile, channel_means, quantiles
from service.core.introspection import Kernels
from service.core.manifest import MANIFEST_FILE, PROFILE_FILE, Manifest
from service.core.spec import INPUT_NAME, Spec
from service.core.tuning import Setting
from service.engine.folding import surviving_tensors
from service.engine.store import StoredModel
from service.engine.taps import TapSession, TapSessions, TapSource

_CPU = Setting("cpu", "fp32", lanes=1, intra_op_threads=1, batch=1)
_TAPPED_BYTES = 256 << 20


def profile(model: bytes, spec: Spec, pixels: NDArray[np.uint8]) -> bytes:
    """The profile file of a model on pixels [N, height, width, channels], N >= 1.

    It holds the layers that are left when the model is served, one for each output: the innermost.
    """
    sessions = TapSessions(_TAPPED_BYTES)
    layers = _layers(model, spec)
    tapped = sessions.get(TapSource("profiled", _CPU, lambda: model), [*layers], Kernels.REFERENCE).session
    means = _means(tapped, pixels)
    arrays = {f"quantiles/{id_}": quantiles(means[tensor]) for tensor, id_ in layers.items()}
    target = io.BytesIO()
    np.savez_compressed(target, allow_pickle=False, images=np.int64(len(pixels)), **arrays)
    return target.getvalue()


def add_profile(stored: StoredModel) -> Profile:
    """Store the profile of a version's samples beside it, and name it in the manifest; the model is not touched."""
    data = profile(stored.model, stored.spec, stored.samples().pixels)
    write_bytes(stored.folder / PROFILE_FILE, data)
    files = manifest.from_json((stored.folder / MANIFEST_FILE).read_bytes()).files
    named = Manifest({**files, PROFILE_FILE: hashlib.sha256(data).hexdigest()})
    write_bytes(stored.folder / MANIFEST_FILE, manifest.to_json(named))
    written = stored.profile()
    assert written is not None
    return written


def _layers(model: bytes, spec: Spec) -> dict[str, str]:
    """Tensor -> layer."""
    survivors = surviving_tensors(model)
    left = [layer for layer in spec.layers if spec.variant == "int8" or layer.tensor in survivors]
    return {layer.tensor: layer.id for layer in left if layer.tensor != INPUT_NAME}


def _means(tapped: TapSession, pixels: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float64]]:
    """Channel means of each picture, [N, channels], by tensor."""
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in tapped.tensors}
    for batch in reference.batches(pixels, _batch(tapped, pixels)):
        for name, values in tapped.run(batch).items():
            found[name] += [channel_means(picture) for picture in values]
    return {name: np.stack(means) for name, means in found.items()}


def _batch(tapped: TapSession, pixels: NDArray[np.uint8]) -> int:
    """How many pictures may be tapped at once."""
    one = sum(values.nbytes for values in tapped.run(pixels[:1]).values())
    return max(1, min(64, _TAPPED_BYTES // one))
