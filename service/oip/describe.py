"""What is said of the server and its models, as plain values in the protocol's words: gRPC and REST both take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.core.errors import InvalidInput, NotReady
from service.core.messages import ModelKey, Priority
from service.core.spec import INPUT_NAME, Spec
from service.core.status import ModelStatus, State
from service.core.tuning import Setting
from service.oip.outputs import DECLARED
from service.telemetry.statistics import Duration, Totals

#: Triton's names of what is implemented here; a client uses what it finds in this list.
EXTENSIONS = (
    "classification",
    "model_repository",
    "schedule_policy",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
)
PLATFORM = "onnxruntime_onnx"

_STATES: Mapping[State, str] = {
    "available": "UNAVAILABLE",
    "loading": "LOADING",
    "ready": "READY",
    "unloading": "UNLOADING",
    "failed": "UNAVAILABLE",
}
_MAX_VERSION_DIGITS = 9

Description = dict[str, Any]


def version_number(text: str) -> int:
    """The version that a client names, 0 for "", which is the latest. Raises `InvalidInput`."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_VERSION_DIGITS and int(text)):
        raise InvalidInput("model_version", "a decimal number from 1, or nothing for the latest", repr(text))
    return int(text)


def ready_spec(status: ModelStatus) -> Spec:
    """The spec of a version that answers; raises `NotReady` for another one."""
    if status.state != "ready" or status.spec is None:
        raise NotReady(f"model: {status.key} is {status.state}" + (f": {status.reason}" if status.reason else ""))
    return status.spec


def server(version: str) -> Description:
    """Of `ServerMetadata`."""
    return {"name": "vitrine", "version": version, "extensions": list(EXTENSIONS)}


def metadata(status: ModelStatus, versions: Sequence[int]) -> Description:
    """Of `ModelMetadata`: shapes with the batch axis. Layers are not listed, since clients fetch all that is."""
    spec = ready_spec(status)
    classes = [-1, len(spec.labels)]
    return {
        "name": status.key.name,
        "versions": [str(version) for version in versions],
        "platform": PLATFORM,
        "inputs": [{"name": INPUT_NAME, "datatype": "UINT8", "shape": [-1, *spec.shape]}],
        "outputs": [{"name": name, "datatype": "FP32", "shape": classes} for name in DECLARED],
    }


def config(status: ModelStatus, max_batch: int) -> Description:
    """Of `ModelConfig`: dims without the batch axis."""
    spec = ready_spec(status)
    classes = [len(spec.labels)]
    return {
        "name": status.key.name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": max_batch,
        "input": [{"name": INPUT_NAME, "data_type": "TYPE_UINT8", "format": "FORMAT_NHWC", "dims": list(spec.shape)}],
        "output": [
            {"name": name, "data_type": "TYPE_FP32", "dims": classes, "label_filename": "labels.txt"}
            for name in DECLARED
        ],
        "default_model_filename": "model.onnx",
        "parameters": {
            "digest": {"string_value": status.digest},
            "task": {"string_value": spec.task},
            "labels": {"string_value": "\n".join(spec.labels)},
        },
        "model_transaction_policy": {"decoupled": False},
        **(_tuned(status.tuning.chosen) if status.tuning else {}),
    }


def _tuned(setting: Setting) -> Description:
    kind = "KIND_GPU" if setting.provider in {"cuda", "tensorrt"} else "KIND_CPU"
    return {
        "instance_group": [{"name": setting.label, "count": setting.lanes, "kind": kind}],
        "dynamic_batching": {
            "preferred_batch_size": [setting.batch],
            "max_queue_delay_microseconds": 0,
            "preserve_ordering": False,
            "priority_levels": len(Priority),
            "default_priority_level": Priority.NORMAL + 1,
            "default_queue_policy": {"timeout_action": "REJECT", "allow_timeout_override": True},
        },
    }


def index(statuses: Sequence[ModelStatus], *, only_ready: bool) -> list[Description]:
    """Of `RepositoryIndex`."""
    return [
        {
            "name": status.key.name,
            "version": str(status.key.version),
            "state": _STATES[status.state],
            "reason": _reason(status),
        }
        for status in statuses
        if status.state == "ready" or not only_ready
    ]


def _reason(status: ModelStatus) -> str:
    return "not loaded" if status.state == "available" and not status.reason else status.reason


def statistics(key: ModelKey, totals: Totals) -> Description:
    """Of `ModelStatistics`, for one version."""
    stages = {name: duration(getattr(totals, name)) for name in ("queue", *_COMPUTE, "cache_hit", "cache_miss")}
    return {
        "name": key.name,
        "version": str(key.version),
        "last_inference": totals.last_ms,
        "inference_count": totals.pictures,
        "execution_count": sum(batch.executions for batch in totals.batches),
        "inference_stats": {"success": duration(totals.success), "fail": duration(totals.fail), **stages},
        "batch_stats": [
            {"batch_size": batch.size, **{name: duration(getattr(batch, name)) for name in _COMPUTE}}
            for batch in totals.batches
        ],
    }


_COMPUTE = ("compute_input", "compute_infer", "compute_output")


def duration(total: Duration) -> Description:
    """A `StatisticDuration`."""
    return {"count": total.count, "ns": total.ns}
