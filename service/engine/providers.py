"""Execution providers by their short names: which exist, which are candidates, and how each is configured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.core.errors import InvalidInput, Refused
from service.core.tuning import Setting

#: ONNX Runtime's name of each provider that Vitrine knows, fastest kind of hardware first.
ORT_NAMES: Mapping[str, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}

#: What `auto` never takes by itself: TensorRT compiles an engine for minutes, which nobody asked for.
BY_NAME_ONLY = frozenset({"tensorrt"})

#: The arithmetic each provider can be asked for, the exact one first.
PRECISIONS: Mapping[str, tuple[str, ...]] = {
    "tensorrt": ("fp32", "fp16"),
    "cuda": ("fp32",),
    "openvino": ("fp32", "bf16", "fp16"),
    "cpu": ("fp32",),
}

#: Words of the OpenVINO plugin for our precisions.
_OPENVINO_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}

Wanted = Literal["auto"] | tuple[str, ...]
ProviderConfig = str | tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Providers to race, the preferred first. `required`: each was named, so each must start."""

    names: tuple[str, ...]
    required: bool


def choose(wanted: Wanted, available: Sequence[str]) -> Candidates:
    """Turn what the operator wants into candidates, given ONNX Runtime's own names of what is `available`.

    `auto` takes all that is there. Named ones are taken in the order given, and all of them must be there.
    Raises `InvalidInput` for an unknown, repeated or empty name list, `Refused` for one that is not installed.
    """
    installed = tuple(short for short, name in ORT_NAMES.items() if name in available)
    if wanted == "auto":
        return Candidates(tuple(name for name in installed if name not in BY_NAME_ONLY), required=False)
    if not wanted or len(set(wanted)) != len(wanted):
        raise InvalidInput("providers", f"'auto' or different names out of {', '.join(ORT_NAMES)}", list(wanted))
    for name in wanted:
        if name not in ORT_NAMES:
            raise InvalidInput("providers", f"'auto' or names out of {', '.join(ORT_NAMES)}", repr(name))
        if name not in installed:
            raise Refused(f"provider {name!r} is not in the installed ONNX Runtime; available: {', '.join(installed)}")
    return Candidates(wanted, required=True)


def configuration(setting: Setting) -> ProviderConfig:
    """Return a provider in the form `InferenceSession(providers=[...])` takes, for one setting."""
    name = ORT_NAMES[setting.provider]
    match setting.provider:
        case "openvino":
            return (name, {"device_type": "CPU", "load_config": json.dumps({"CPU": _openvino(setting)})})
        case "tensorrt":
            return (name, {"trt_fp16_enable": setting.precision == "fp16"})
        case _:
            return name


def _openvino(setting: Setting) -> dict[str, str]:
    # Streams are OpenVINO's lanes; its thread count is the total over all of them. Pinned, its threads would fight with
    # whatever decodes on their core (or with another model's, pinned to the same one) while other cores idle.
    return {
        "ENABLE_CPU_PINNING": "NO",
        "INFERENCE_PRECISION_HINT": _OPENVINO_HINTS[setting.precision],
        "NUM_STREAMS": str(setting.lanes),
        "INFERENCE_NUM_THREADS": str(setting.lanes * setting.intra_op_threads),
    }
