"""One ONNX Runtime session behind the Engine port."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from service.core.errors import EngineFailed, Refused
from service.core.spec import INPUT_NAME, OUTPUT_NAME, Spec
from service.core.tuning import Setting, Tuning
from service.engine.providers import ORT_NAMES, configuration

#: All that ONNX Runtime raises; its own classes have no common base.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    ort_errors.EngineError,
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotFound,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
    ValueError,
)

_ERROR = 3
_FATAL = 4


def quiet_options() -> ort.SessionOptions:
    """Options that keep ONNX Runtime's warnings off the terminal: what matters is raised, and told by us."""
    options = ort.SessionOptions()
    options.log_severity_level = _ERROR
    return options


def serving_options(setting: Setting) -> ort.SessionOptions:
    """The options of the sessions that serve."""
    options = quiet_options()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = setting.intra_op_threads
    options.inter_op_num_threads = 1
    # A spinning thread takes the core that the other lane, or the decoder, needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def open_session(model: bytes, setting: Setting, options: ort.SessionOptions | None = None) -> ort.InferenceSession:
    """Create a session for a setting; raises `Refused` when its provider does not start.

    `options` are `serving_options` with something added to them.
    """
    options = options or serving_options(setting)
    try:
        # Without `enable_fallback=0` a provider that fails is replaced by the CPU, with a note on stdout.
        session = ort.InferenceSession(model, options, providers=[configuration(setting)], enable_fallback=0)
    except RUNTIME_ERRORS as error:
        raise Refused(f"provider {setting.label} does not start: {_first_line(error)}") from error
    used = session.get_providers()[0]
    # OpenVINO leaves silently when it dislikes an option.
    if used != ORT_NAMES[setting.provider]:
        raise Refused(f"provider {setting.label} does not start: ONNX Runtime took {used} in its place")
    # The Python wrapper keeps the file for the fallback that is off here; that is as much memory as the weights.
    session._model_bytes = None  # noqa: SLF001
    return session


@dataclass(frozen=True, slots=True)
class Sessions:
    """The session of all lanes, and the one that computes a single image on all cores, if that is worth having."""

    shared: ort.InferenceSession
    alone: ort.InferenceSession | None = None


def open_sessions(model: bytes, tuning: Tuning) -> Sessions:
    """Create what a tuning asks for; raises `Refused` when the provider does not start."""
    shared = open_session(model, tuning.chosen)
    return Sessions(shared, open_session(model, tuning.alone) if tuning.alone else None)


def infer(session: ort.InferenceSession, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels [N, height, width, channels] -> logits [N, classes]; raises `EngineFailed`."""
    try:
        (logits,) = session.run([OUTPUT_NAME], {INPUT_NAME: batch})
    except RUNTIME_ERRORS as error:
        raise EngineFailed(f"ONNX Runtime failed on a batch of {len(batch)}: {_first_line(error)}") from error
    return logits  # type: ignore[no-any-return]  # onnxruntime has no types


class OnnxEngine:
    """A model version on ONNX Runtime, shared by all lanes.

    With one intra-op thread `run` computes on the calling thread, so lanes do not meet inside the session.
    """

    def __init__(self, spec: Spec, digest: str, tuning: Tuning, sessions: Sessions, warnings: tuple[str, ...]) -> None:
        self.spec = spec
        self.digest = digest
        self.tuning = tuning
        self.warnings = warnings  #: what went wrong at load without harm, for the log
        self._sessions: Sessions | None = sessions

    def run(self, batch: NDArray[np.uint8], *, alone: bool = False) -> NDArray[np.float32]:
        """Pixels [N, height, width, channels] -> logits [N, classes]. Thread-safe; blocks the calling thread.

        `alone` says that no other lane has work: then one image gets all cores, where that was measured to be faster.
        Raises `EngineFailed` when the runtime fails or returns another shape than the spec promises.
        """
        if self._sessions is None:
            raise EngineFailed(f"{self.spec.name} is closed")
        solo = self._sessions.alone if alone and len(batch) == 1 else None
        logits = infer(solo or self._sessions.shared, batch)
        wanted = (len(batch), len(self.spec.labels))
        if logits.shape != wanted:
            raise EngineFailed(f"{self.spec.name} gave logits {list(logits.shape)} where {list(wanted)} were expected")
        return logits

    def warm(self) -> None:
        """Run every batch size that will be used, on all lanes at once: providers compile per shape and stream."""
        lanes = self.tuning.chosen.lanes
        with ThreadPoolExecutor(lanes) as pool:
            # Reading the results raises what a lane raised.
            list(pool.map(self._warm_lane, range(lanes)))
        self.run(np.zeros((1, *self.spec.shape), np.uint8), alone=True)

    def close(self) -> None:
        """Free the sessions; `run` raises from now on."""
        self._sessions = None

    def _warm_lane(self, _lane: int) -> None:
        for size in range(1, self.tuning.chosen.batch + 1):
            self.run(np.zeros((size, *self.spec.shape), np.uint8))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
