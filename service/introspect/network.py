"""The network behind one question: its file cut and rewritten as needed, run only while somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from service.core.gradients import CLASS_WEIGHTS, differentiate
from service.core.graph import Array, Graph
from service.core.introspection import Kernels
from service.core.layers import LayerInfo
from service.core.spec import INPUT_NAME, OUTPUT_NAME
from service.engine import graph as files
from service.engine.taps import TapSessions, TapSource
from service.introspect.feature_maps import in_time


class Network:
    """Runs of one model version with the reference kernels; before each run the deadline is looked at.

    Methods block, and raise `TooLate`, `Refused` or `EngineFailed`. `build_s` is what building sessions took.
    """

    def __init__(
        self, source: TapSource, graph: Graph, sessions: TapSessions, deadline: float, now: Callable[[], float]
    ) -> None:
        self.graph = graph
        self.build_s = 0.0
        self._source = source
        self._sessions = sessions
        self._deadline = deadline
        self._now = now

    def logits(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of pictures [N, height, width, channels]."""
        return np.asarray(self._run(self._source, {INPUT_NAME: pictures}, [OUTPUT_NAME])[OUTPUT_NAME])

    def maps(self, picture: NDArray[np.uint8], layer: LayerInfo) -> tuple[Array, NDArray[np.float32]]:
        """A layer's output [channels, height, width] for one picture, and the logits [classes]."""
        values = self._run(self._source, {INPUT_NAME: picture[np.newaxis]}, [layer.tensor, OUTPUT_NAME])
        return values[layer.tensor][0], values[OUTPUT_NAME][0]

    def gradient(
        self, picture: NDArray[np.uint8], layer: LayerInfo, weights: NDArray[np.float64]
    ) -> tuple[Array, Array, NDArray[np.float32]]:
        """Like `maps`, with d(weights . logits) / d(maps) in between, of the same shape."""
        backward = differentiate(self.graph, layer.tensor)
        source = self._source.derived(
            f"gradient at {layer.tensor}", lambda data: files.differentiated(files.parse(data), backward)
        )
        inputs: dict[str, Array] = {
            INPUT_NAME: picture[np.newaxis],
            CLASS_WEIGHTS: weights[np.newaxis].astype(np.float32),
        }
        values = self._run(source, inputs, [layer.tensor, backward.gradient, OUTPUT_NAME])
        return values[layer.tensor][0], values[backward.gradient][0], values[OUTPUT_NAME][0]

    def head(self, layer: LayerInfo, maps: Array) -> NDArray[np.float32]:
        """The logits [N, classes] that other maps [N, channels, height, width] in the place of a layer's would give."""
        source = self._source.derived(
            f"behind {layer.tensor}", lambda data: files.behind(files.parse(data), layer.tensor, layer.type)
        )
        return np.asarray(self._run(source, {layer.tensor: maps}, [OUTPUT_NAME])[OUTPUT_NAME])

    def _run(self, source: TapSource, inputs: Mapping[str, Array], tensors: Sequence[str]) -> Mapping[str, Array]:
        in_time(self._deadline, self._now())
        built = self._sessions.get(source, tensors, Kernels.REFERENCE)
        self.build_s += built.build_s
        return built.session.feed(inputs)
