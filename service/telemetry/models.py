"""What is told about each version while it is loaded."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.core.events import ModelChanged, ProviderFellBack
from service.core.messages import ModelKey


class ModelSeries:
    """Gauges of the versions that there are, and what failed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._states: dict[ModelKey, str] = {}
        self._state = Gauge(
            "vitrine_model_state",
            "1 for the state that the version is in",
            ["model", "version", "state"],
            registry=registry,
        )
        self._provider = Gauge(
            "vitrine_model_provider_info",
            "1 for what the version runs on",
            ["model", "version", "provider"],
            registry=registry,
        )
        self._load = Gauge(
            "vitrine_model_load_seconds",
            "From asking for the version to ready",
            ["model", "version"],
            registry=registry,
        )
        self._failures = Counter(
            "vitrine_model_load_failures", "Versions that could not be loaded", ["model"], registry=registry
        )
        self._fallback = Gauge(
            "vitrine_provider_fallback_info",
            "1 for a version that does not run on the preferred provider",
            ["model", "version", "wanted", "used"],
            registry=registry,
        )

    def ready(self) -> list[ModelKey]:
        """The versions that answer."""
        return [key for key, state in list(self._states.items()) if state == "ready"]

    def change(self, event: ModelChanged) -> None:
        """A version entered another state; one that is not loaded any more has no series."""
        version = (event.model.name, str(event.model.version))
        if before := self._states.pop(event.model, None):
            self._state.remove(*version, before)
        if event.state in {"available", "unloaded"}:
            for gauge in (self._load, self._provider, self._fallback):
                gauge.remove_by_labels({"model": version[0], "version": version[1]})
            return
        self._states[event.model] = event.state
        self._state.labels(*version, event.state).set(1)
        if event.state == "ready":
            self._load.labels(*version).set(event.took_s)
            self._provider.labels(*version, event.provider).set(1)
        if event.state == "failed":
            self._failures.labels(event.model.name).inc()

    def fall_back(self, event: ProviderFellBack) -> None:
        """A version runs on something else than what was preferred."""
        self._fallback.labels(event.model.name, str(event.model.version), event.wanted, event.used).set(1)
