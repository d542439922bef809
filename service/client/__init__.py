"""The SDK, async and sync; it needs no server code."""

from __future__ import annotations

from service.client.aio import AsyncClient
from service.client.blocking import Client
from service.client.credentials import Credentials
from service.client.examination import Comparison, Diagnosis
from service.client.failures import ClientError
from service.client.feature_maps import FeatureMaps, LayerMaps
from service.client.jobs import JobEvent
from service.client.retry import Retry
from service.client.service_config import CHANNEL_OPTIONS, SERVICE_CONFIG
from service.client.values import Image, LoggedPrediction, ModelInfo, Result, RoutingInfo
from service.core.diagnostics import CompareRequest, DiagnoseRequest, LatencyProfile
from service.core.encodings import Encoding, Kind, Range
from service.core.errors import ServiceError
from service.core.introspection import Kernels, MapsRequest, Picture
from service.core.jobs import Item, ItemResult, Job, JobPriority, JobState, Order
from service.core.layers import Selector
from service.core.maps import Key, Region, Span, TopK, Wanted
from service.core.messages import Answer, Options, Prediction
from service.core.routing import Routing, Shadow

__all__ = [
    "CHANNEL_OPTIONS",
    "SERVICE_CONFIG",
    "Answer",
    "AsyncClient",
    "Client",
    "ClientError",
    "CompareRequest",
    "Comparison",
    "Credentials",
    "DiagnoseRequest",
    "Diagnosis",
    "Encoding",
    "FeatureMaps",
    "Image",
    "Item",
    "ItemResult",
    "Job",
    "JobEvent",
    "JobPriority",
    "JobState",
    "Kernels",
    "Key",
    "Kind",
    "LatencyProfile",
    "LayerMaps",
    "LoggedPrediction",
    "MapsRequest",
    "ModelInfo",
    "Options",
    "Order",
    "Picture",
    "Prediction",
    "Range",
    "Region",
    "Result",
    "Retry",
    "Routing",
    "RoutingInfo",
    "Selector",
    "ServiceError",
    "Shadow",
    "Span",
    "TopK",
    "Wanted",
]
