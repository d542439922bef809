"""What more than one role is built of."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import structlog

from service.api.classifier import Bounds
from service.api.server import GrpcSettings
from service.config import Config
from service.core.admission import QueueLimits
from service.core.events import Emit, Event
from service.core.image import Limits
from service.core.jobs import Durability, JobLimits
from service.core.uris import UriRules
from service.remote.fetcher import UriFetcher
from service.security.tls import TlsFiles
from service.telemetry.logs import log_event
from service.telemetry.metrics import Metrics
from service.telemetry.requests import RequestLog
from service.web.patience import Patience

VERSION = version("vitrine")
log = structlog.get_logger("vitrine")


def observed(config: Config) -> tuple[Metrics, Emit]:
    """Metrics, and where events go: to these and to the log."""
    metrics = Metrics(VERSION)
    requests = RequestLog(config.log_requests_per_s)

    def emit(event: Event) -> None:
        metrics.emit(event)
        log_event(event)
        requests.emit(event)

    return metrics, emit


def image_limits(config: Config) -> Limits:
    """What a picture may be."""
    return Limits(config.max_image_bytes, config.max_image_pixels, config.max_image_side)


def certificates(config: Config) -> list[Path]:
    """The files whose expiry metrics tell: the server's own, and those of whoever stands in front of it."""
    return [path for path in (config.tls_cert, *config.certificates) if path]


def http_patience(config: Config) -> Patience:
    """How long the HTTP port waits for requests, and for how many callers at once."""
    return Patience(config.max_connections, config.request_timeout_s)


def queue_limits(config: Config) -> QueueLimits:
    """What one model version may have waiting."""
    return QueueLimits(config.queue_entries, config.queue_bytes)


def job_limits(config: Config) -> JobLimits:
    """What may be kept of jobs, and how well at least."""
    least = {"fsynced": Durability.FSYNCED, "written": Durability.WRITTEN, "any": Durability.UNVERIFIED}
    return JobLimits(max_bytes=config.job_bytes, least=least[config.job_durability])


def uri_fetcher(config: Config) -> UriFetcher:
    """What brings the pictures that items of jobs only point to."""
    root = str(config.job_root) if config.job_root else ""
    rules = UriRules(root, config.job_hosts, config.job_buckets, config.job_private)
    return UriFetcher(rules, config.max_image_bytes)


def grpc_settings(config: Config, tls: TlsFiles | None) -> GrpcSettings:
    """The gRPC port and its bounds."""
    bounds = Bounds(config.max_batch_items, config.max_stream_in_flight)
    return GrpcSettings(
        config.grpc,
        config.max_message_bytes,
        bounds,
        max_connections=config.max_connections,
        max_streams=config.max_streams,
        keepalive_s=config.keepalive_s,
        max_connection_age_s=config.max_connection_age_s,
        max_connection_grace_s=config.max_connection_grace_s,
        tls=tls,
    )
