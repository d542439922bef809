"""How each model is run, and what that setting reached when it was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.core.status import ModelStatus
from service.core.tuning import Tuning

_LABELS = ("model", "version")


class SettingsCollector(Collector):
    """Reads what the catalog says at each scrape."""

    def __init__(self, statuses: Callable[[], Sequence[ModelStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every family; of the versions whose tuning is known here."""
        known = [(status.key, status.tuning) for status in self._statuses() if status.tuning]
        info = GaugeMetricFamily(
            "vitrine_model_setting_info",
            "1 for the setting that the version runs with",
            labels=[*_LABELS, "provider", "precision", "lanes", "intra_op_threads", "batch", "cached"],
        )
        speed = GaugeMetricFamily(
            "vitrine_model_tuned_images_per_second", "What the setting reached when it was measured", labels=_LABELS
        )
        latency = GaugeMetricFamily(
            "vitrine_model_tuned_latency_seconds", "Median time of one batch then, all lanes busy", labels=_LABELS
        )
        ruled_out = GaugeMetricFamily(
            "vitrine_model_settings_ruled_out", "Settings that were measured and may not be used", labels=_LABELS
        )
        for key, tuning in known:
            name = [key.name, str(key.version)]
            info.add_metric([*name, *_words(tuning)], 1)
            ruled_out.add_metric(name, sum(bool(row.rejected) for row in tuning.measurements))
            for row in tuning.measurements:
                if row.setting == tuning.chosen:
                    speed.add_metric(name, row.images_per_second)
                    latency.add_metric(name, row.latency_ms / 1000)
        yield from (info, speed, latency, ruled_out)


def _words(tuning: Tuning) -> list[str]:
    chosen = tuning.chosen
    numbers = (chosen.lanes, chosen.intra_op_threads, chosen.batch)
    return [chosen.provider, chosen.precision, *map(str, numbers), str(tuning.cached).lower()]
