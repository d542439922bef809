"""Which setting runs a model best on this host: measured, never assumed.

The search is a coordinate descent that fits a few seconds: first every provider and precision with one lane per core
and one thread per lane; then growing batches with those near the best; then the other thread layouts of the best, and
fewer lanes of whatever suffices with those; then a final between the fastest, measured in turns so that a noisy
neighbour hurts all of them alike.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from service.core.errors import EngineFailed, Refused
from service.core.tuning import Measurement, Setting, Tuning
from service.engine.choice import UNMEASURED, batches, contenders, frugal, layouts, pick, precisions, rank
from service.engine.policy import EnginePolicy
from service.engine.providers import Candidates
from service.engine.race import Agreement, Speed, agreement, answers, measure, objection
from service.engine.session import infer, open_session
from service.engine.store import StoredModel

#: A provider slower than this share of the best one at its first batch is not measured further.
_HOPELESS = 1 / 3
#: What does not reach this share of the best at its first batch is not tried with larger ones.
_NEAR = 0.6
#: A batch this much slower than the best so far ends the growing.
_FALLING = 0.9
#: Twice the batch takes at least this much longer: where that breaks the ceiling, it is not tried.
_GROWTH = 1.5
_FINALISTS = 3
#: A second session for single images must be this many times as fast to be worth its memory.
_ALONE_GAIN = 1.15
_ALONE_ROUNDS = 3
#: Providers whose sessions share the cores with the lanes.
_ON_CPU = frozenset({"cpu", "openvino"})
_FINAL_ROUNDS = 5
#: One measurement's share of the budget, and the most that it needs, in seconds.
_SLOT = 1 / 75
_LONGEST_SLOT_S = 0.1


def tune(stored: StoredModel, candidates: Candidates, policy: EnginePolicy, cores: int) -> Tuning:
    """Measure what the policy leaves open, on the model's stored samples, and choose.

    Raises `Refused` when a required provider does not start, or when nothing that may be used works.
    """
    search = _Search(stored, policy)
    first, *others = layouts(policy, cores)
    for provider, precision in contenders(candidates, policy):
        search.enter(Setting(provider, precision, *first, batches(policy)[0]))
    for provider, reason in search.failed.items():
        if candidates.required:
            raise Refused(f"{reason}; {provider} was named, so no other provider is used in its place")
    search.grow()
    for lanes, threads in others:
        search.enter(replace(search.best().setting, lanes=lanes, intra_op_threads=threads, batch=batches(policy)[0]))
    # Where fewer lanes will do, what counts is how little a lane costs, which the fastest may not do best.
    for found in search.fastest():
        for lanes, threads in frugal(found, policy):
            search.enter(replace(found.setting, lanes=lanes, intra_op_threads=threads, batch=batches(policy)[0]))
    search.grow()
    search.final()
    return search.result(cores)


class _Search:
    """The table that grows while sessions are tried. Keeps only the finalists' sessions alive."""

    def __init__(self, stored: StoredModel, policy: EnginePolicy) -> None:
        self._stored = stored
        self._samples = stored.samples()
        self._policy = policy
        self._slot_s = min(policy.tuning_budget_s * _SLOT, _LONGEST_SLOT_S)
        self._deadline = time.perf_counter() + policy.tuning_budget_s
        self._table: dict[Setting, Measurement] = {}
        self._sessions: dict[Setting, ort.InferenceSession] = {}  # by the setting without its batch
        self._ungrown: dict[Setting, Speed] = {}
        self._agreed: dict[str, Agreement] = {}  # by label
        self._exact: dict[str, NDArray[np.float32]] = {}  # first answers in fp32, by provider
        self.failed: dict[str, str] = {}  #: why a provider did not start at all, by its name

    def enter(self, setting: Setting) -> None:
        """Try one provider, precision and thread layout at its first batch."""
        if self._table and self._spent():
            return self._reject(setting, f"{UNMEASURED}: the budget of {self._policy.tuning_budget_s:g} s was spent")
        try:
            session = open_session(self._stored.model, setting)
            speed = measure(session, setting, self._samples.pixels, self._slot_s)
            reason = self._vet(session, setting, speed)
        except (Refused, EngineFailed) as error:
            if setting.precision == precisions(setting.provider, self._policy)[0]:
                self.failed.setdefault(setting.provider, str(error))
            return self._reject(setting, str(error))
        self._record(setting, speed, reason)
        if not reason:
            self._sessions[_layout(setting)] = session
            self._ungrown[setting] = speed
        return self._release()

    def grow(self) -> None:
        """Try larger batches with what was entered and is near the best, that one first.

        Not where fewer lanes will do: it is those that are to grow.
        """
        entered, self._ungrown = self._ungrown, {}
        candidates = {each: speed for each, speed in entered.items() if not frugal(self._table[each], self._policy)}
        best = max((speed.images_per_second for speed in candidates.values()), default=0.0)
        for setting, speed in sorted(candidates.items(), key=lambda item: -item[1].images_per_second):
            if speed.images_per_second >= _NEAR * best:
                self._grow(self._session(setting), setting, speed)
        self._release()

    def best(self) -> Measurement:
        """The one to use, by what is known so far."""
        return pick(list(self._table.values()), self._policy.latency_ceiling_ms)

    def fastest(self) -> list[Measurement]:
        """The fastest setting of each provider and precision that may be used."""
        usable = [found for found in self._table.values() if not found.rejected]
        usable.sort(key=lambda found: found.images_per_second)
        return list({found.setting.label: found for found in usable}.values())  # the last of each stays

    def final(self) -> None:
        """Measure the fastest few again, in turns, while the budget lasts; the best turn is what counts.

        A neighbour on the same cores can only make a turn slower, so the best one is the least disturbed.
        """
        finalists = self._finalists()
        speeds: dict[Setting, list[Speed]] = {setting: [] for setting in finalists}
        for _ in range(_FINAL_ROUNDS if len(finalists) > 1 else 0):
            if self._spent():
                break
            for setting in finalists:
                session = self._session(setting)
                speeds[setting].append(measure(session, setting, self._samples.pixels, self._slot_s))
        for setting, found in speeds.items():
            if found:
                self._record(setting, max(found, key=lambda speed: speed.images_per_second), "")

    def result(self, cores: int) -> Tuning:
        """The choice and its table, with what the latency ceiling ruled out marked as such."""
        chosen = self.best().setting
        ceiling_ms = self._policy.latency_ceiling_ms
        table = (
            replace(found, rejected=f"p50 of a batch is over the ceiling of {ceiling_ms:g} ms")
            if not found.rejected and found.latency_ms > ceiling_ms and found.setting != chosen
            else found
            for found in self._table.values()
        )
        return Tuning(chosen, tuple(table), self._alone(chosen, cores), fallback="; ".join(self.failed.values()))

    def _alone(self, chosen: Setting, cores: int) -> Setting | None:
        """How to run one image when nothing else runs, if all cores do it clearly faster than the chosen setting."""
        alone = replace(chosen, lanes=1, intra_op_threads=cores, batch=1)
        fixed = self._policy.intra_op_threads is not None
        if fixed or not self._policy.alone or cores <= chosen.intra_op_threads or chosen.provider not in _ON_CPU:
            return None
        rivals = {setting: self._session(setting) for setting in (chosen, alone)}
        latencies: dict[Setting, list[float]] = {setting: [] for setting in rivals}
        for _ in range(_ALONE_ROUNDS):
            for setting, session in rivals.items():
                single = replace(setting, batch=1)
                speed = measure(session, single, self._samples.pixels, self._slot_s, alone=True)
                latencies[setting].append(speed.latency_ms)
        return alone if min(latencies[alone]) * _ALONE_GAIN < min(latencies[chosen]) else None

    def _session(self, setting: Setting) -> ort.InferenceSession:
        return self._sessions.get(_layout(setting)) or open_session(self._stored.model, setting)

    def _vet(self, session: ort.InferenceSession, setting: Setting, speed: Speed) -> str:
        """Why this provider and precision may not be used; agreement is established once for each."""
        if setting.label in self._agreed:
            return ""
        reference = self._samples.logits
        first = infer(session, self._samples.pixels[:4])
        self._agreed[setting.label] = agreement(first, reference[: len(first)], self._stored.spec.task)
        if setting.precision == "fp32":
            self._exact[setting.provider] = first
        elif np.array_equal(first, self._exact.get(setting.provider, ())):
            return f"{setting.provider} computes fp32 on this machine when asked for {setting.precision}"
        if speed.images_per_second < _HOPELESS * self._first_rate(setting.batch):
            return "less than a third as fast as the best"
        logits = answers(session, self._samples, setting.lanes)
        self._agreed[setting.label] = agreement(logits, reference, self._stored.spec.task)
        return objection(self._agreed[setting.label], reference, setting.precision)

    def _spent(self) -> bool:
        return time.perf_counter() > self._deadline

    def _first_rate(self, batch: int) -> float:
        rates = (found.images_per_second for found in self._table.values() if found.setting.batch == batch)
        return max(rates, default=0.0)

    def _grow(self, session: ort.InferenceSession, setting: Setting, speed: Speed) -> None:
        best = speed.images_per_second
        for batch in batches(self._policy)[1:]:
            over = speed.latency_ms * _GROWTH > self._policy.latency_ceiling_ms
            if over or speed.images_per_second < _FALLING * best or self._spent():
                break
            larger = replace(setting, batch=batch)
            speed = measure(session, larger, self._samples.pixels, self._slot_s)
            self._record(larger, speed, "")
            best = max(best, speed.images_per_second)

    def _record(self, setting: Setting, speed: Speed, rejected: str) -> None:
        agreed = self._agreed[setting.label]
        self._table[setting] = Measurement(
            setting, speed.images_per_second, speed.latency_ms, agreed.max_logit_difference, agreed.top1, rejected
        )

    def _reject(self, setting: Setting, reason: str) -> None:
        self._table[setting] = Measurement(setting, 0.0, 0.0, 0.0, 0.0, reason)

    def _finalists(self) -> list[Setting]:
        ranked = rank(list(self._table.values()), self._policy.latency_ceiling_ms)
        return [found.setting for found in ranked[:_FINALISTS]]

    def _release(self) -> None:
        """Close the sessions that nobody will measure again: each holds its own copy of the weights."""
        kept = {_layout(setting) for setting in (*self._finalists(), *self._ungrown)}
        self._sessions = {layout: session for layout, session in self._sessions.items() if layout in kept}


def _layout(setting: Setting) -> Setting:
    """The part of a setting that a session is created for."""
    return replace(setting, batch=0)
