"""The manifest beside a published model: what must be there, to the bit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from service.core.errors import InvalidInput

MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.onnx"
#: Real pictures, preprocessed;
#: `pixels` uint8 [N, height, width, channels] and `logits` float32 [N, classes] of CPU fp32.
SAMPLES_FILE = "samples.npz"
#: What layers gave on real pictures at export, for `core.drift`: `images` and `quantiles/<layer>`; may be missing.
PROFILE_FILE = "profile.npz"


@dataclass(frozen=True, slots=True)
class Manifest:
    """SHA-256 in hex of every file of the version's folder that serving reads, by file name."""

    files: dict[str, str] = field(default_factory=dict)
    schema: Literal[1] = 1


_ADAPTER: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def to_json(manifest: Manifest) -> bytes:
    """The manifest as indented JSON."""
    return _ADAPTER.dump_json(manifest, indent=2) + b"\n"


def from_json(text: str | bytes) -> Manifest:
    """Parse a manifest; raises `InvalidInput`."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"manifest.{where}", first["msg"], first["input"]) from None
