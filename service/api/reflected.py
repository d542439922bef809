"""Reflection over two descriptor pools: the process's own, and that of the Open Inference Protocol."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool

from service.rpc.open_inference import POOL


class Pools:
    """What reflection asks of a descriptor pool, asked of both: the first that knows the name answers.

    Every `Find...` method raises `KeyError` for what neither knows, as a pool does.
    """

    def __init__(self) -> None:
        self._default = descriptor_pool.Default()

    def __getattr__(self, method: str) -> Any:
        def find(*names: Any) -> Any:
            try:
                return getattr(POOL, method)(*names)
            except KeyError:
                return getattr(self._default, method)(*names)

        return find
