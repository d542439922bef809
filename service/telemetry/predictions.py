"""What models answer: how often each label, and how sure they are. A drift of the inputs shows here first."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from service.core.messages import Prediction
from service.telemetry.histograms import MAX_PENDING, BulkHistogram, Series

#: Labels of one model that are series of their own.
MAX_LABELS = 50
OTHER = "other"
CONFIDENCE_BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)


class Predictions(Collector):
    """Counts the first prediction of each picture, per model. Thread-safe."""

    def __init__(self) -> None:
        self._confidence = BulkHistogram(
            "vitrine_prediction_score", "Score of the best class", ["model"], CONFIDENCE_BOUNDS
        )
        self._models: dict[str, _Answers] = {}
        self._creating = Lock()

    def observe(self, model: str, best: Sequence[Prediction]) -> None:
        """Count the best prediction of each picture of one request."""
        answers = self._models.get(model)
        if answers is None:
            with self._creating:
                answers = self._models.setdefault(model, _Answers(self._confidence.labels(model)))
        answers.observe(best)

    def collect(self) -> Iterator[Metric]:
        """Both families as they stand, for a scrape."""
        family = CounterMetricFamily(
            "vitrine_predictions",
            f"Pictures by their best class; the first {MAX_LABELS} classes that a model answered are told apart",
            labels=["model", "label"],
        )
        for model, answers in list(self._models.items()):
            for label, count in answers.count().items():
                family.add_metric([model, label], count)
        yield family
        yield from self._confidence.collect()


class _Answers:
    """One model's."""

    def __init__(self, scores: Series) -> None:
        self._scores = scores
        self._pending: deque[str] = deque()
        self._counts: Counter[str] = Counter()
        self._counting = Lock()

    def observe(self, best: Iterable[Prediction]) -> None:
        """Note them; counting is for later."""
        for prediction in best:
            self._pending.append(prediction.label)
            self._scores.observe((prediction.score,))
        if len(self._pending) > MAX_PENDING:
            self.count()

    def count(self) -> Counter[str]:
        """Count what is pending; the counts so far.

        Names go to the labels that come first, not to the most frequent ones: a label that lost its name later on would
        take its counts to the others, and counters may not fall.
        """
        with self._counting:
            for _ in range(len(self._pending)):
                label = self._pending.popleft()
                known = label in self._counts or len(self._counts) < MAX_LABELS
                self._counts[label if known else OTHER] += 1
            return self._counts.copy()
