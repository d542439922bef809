"""What is kept of requests and answers, where the configuration says so: the response cache, the prediction log."""

from __future__ import annotations

from collections.abc import Callable

from service.api.predictions import PredictionsServicer
from service.caching import CachedSubmissions, Shared
from service.config import Config
from service.core.caching import Answers
from service.core.errors import InvalidInput, NoSuchModel
from service.core.events import Emit
from service.core.messages import ModelKey
from service.core.ports import Submissions
from service.core.use_cases import ModelCatalog
from service.predictions.folder import PredictionFolder
from service.predictions.logged import LoggedSubmissions, PredictionLog
from service.telemetry.metrics import Metrics


def cached(
    config: Config,
    queue: Submissions,
    catalog: ModelCatalog,
    metrics: Metrics,
    emit: Emit,
    *,
    shared: Shared | None = None,
) -> Submissions:
    """The queue behind a cache; the queue itself where no memory is set aside for one."""
    if not config.cache_bytes:
        return queue

    def digest(key: ModelKey) -> str:
        try:
            return catalog.get(*key).digest
        except NoSuchModel:
            return ""

    kept = Answers(config.cache_bytes, config.cache_ttl_s)
    metrics.watch_cache(kept)
    return CachedSubmissions(queue, digest, kept, emit, shared=shared)


def prediction_folder(config: Config, emit: Emit) -> PredictionFolder | None:
    """The log of this process; None where nothing is to be logged. Raises `InvalidInput` without a place for it."""
    if not config.prediction_share:
        return None
    folder = config.prediction_dir or (config.data_dir and config.data_dir / "predictions")
    if folder is None:
        raise InvalidInput("prediction_dir", "must be set, or data_dir, where prediction_share is", "none")
    return PredictionFolder(folder, config.prediction_bytes, config.prediction_ttl_s, emit)


def logged(config: Config, queue: Submissions, log: PredictionLog | None) -> Submissions:
    """The queue, with a share of what it answers in the log, if there is one."""
    return LoggedSubmissions(queue, log, config.prediction_share, config.prediction_image_bytes) if log else queue


def replaying(
    log: PredictionLog | None, catalog: ModelCatalog, keep: Callable[[bytes], str] | None
) -> PredictionsServicer | None:
    """The way back to what was logged."""
    return PredictionsServicer(log, catalog, keep) if log else None
