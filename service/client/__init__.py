"""The SDK, async and sync; it needs no server code."""

from __future__ import annotations

from service.client.aio import AsyncClient
from service.client.blocking import Client
from service.client.failures import ClientError
from service.client.retry import Retry
from service.client.values import Image, ModelInfo, Result
from service.core.errors import ServiceError
from service.core.messages import Answer, Options, Prediction

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "ClientError",
    "Image",
    "ModelInfo",
    "Options",
    "Prediction",
    "Result",
    "Retry",
    "ServiceError",
]
