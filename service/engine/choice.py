"""What there is to try, and which of what was measured is the best: the policy of tuning, without a session."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from service.core.errors import Refused
from service.core.tuning import Measurement, Tuning
from service.engine.policy import EnginePolicy
from service.engine.providers import PRECISIONS, Candidates

_BATCHES = (1, 2, 4, 8, 16, 32)
#: Rates closer than this are equal: then the simpler setting wins.
_EQUAL = 0.93
#: What a layout with fewer lanes keeps of its rate when compared.
_FEWER_LANES = 0.9
#: What a batch costs its lane beside the session, in seconds (`python -m tests.bench`: W2 with batches of 1 and of 8),
#: and where the provider computes elsewhere, so that two more threads wait for a core: W1 with 32 open answered 208,
#: 245, 261 and 264 pictures a second in batches of 1, 2, 4 and 8, which the race cannot tell apart.
_CROSSING_S, _CROSSING_ELSEWHERE_S = 5e-4, 2.5e-3
#: Images per second that one front-end can bring (W2, `ClassifyBatch`). Cores that compute more than that take time
#: from the front-end and give nothing back: with 2 of 2 cores computing, W2 was a third slower than with 1 of 2.
_FED_PER_S = 4000
#: How the reason of a setting begins that the budget left no time for.
UNMEASURED = "not measured"

Layout = tuple[int, int]  #: lanes and intra-op threads of each


def contenders(candidates: Candidates, policy: EnginePolicy) -> tuple[tuple[str, str], ...]:
    """Each provider with each precision that it has and the policy allows, the exact ones first."""
    pairs = [(name, precision) for name in candidates.names for precision in precisions(name, policy)]
    return tuple(sorted(pairs, key=lambda pair: pair[1] != "fp32"))


def precisions(provider: str, policy: EnginePolicy) -> tuple[str, ...]:
    """The precisions of a provider that the policy allows, the exact one first."""
    match policy.precision:
        case "auto":
            return PRECISIONS[provider]
        case "exact":
            return ("fp32",)
        case named:
            return (named,) if named in PRECISIONS[provider] else ()


def complete(tuning: Tuning) -> bool:
    """Whether the budget sufficed to measure everything; what a busy machine chose in a hurry is not worth keeping."""
    return not any(found.rejected.startswith(UNMEASURED) for found in tuning.measurements)


def layouts(policy: EnginePolicy, cores: int) -> tuple[Layout, ...]:
    """Ways to lay lanes and their threads over the cores; the first is the one that providers are raced in."""
    lanes, threads = policy.lanes, policy.intra_op_threads
    if lanes is not None:
        found = [(lanes, threads)] if threads is not None else [(lanes, 1), (lanes, max(1, cores // lanes))]
    elif threads is not None:
        found = [(max(1, cores // threads), threads)]
    else:
        found = [(cores, 1), (cores // 2, 2), (1, cores)]
    return tuple(dict.fromkeys(layout for layout in found if layout[0] > 0))


def frugal(best: Measurement, policy: EnginePolicy) -> tuple[Layout, ...]:
    """Fewer lanes of one thread, where those suffice for all that a front-end can bring."""
    cores = best.setting.lanes * best.setting.intra_op_threads
    enough = ceil(_FED_PER_S * cores / best.images_per_second) if best.images_per_second else cores
    fixed = policy.lanes is not None or policy.intra_op_threads is not None
    return () if fixed or enough >= cores else ((enough, 1),)


def batches(policy: EnginePolicy) -> tuple[int, ...]:
    """The batch sizes to try, growing."""
    return _BATCHES if policy.batch is None else (policy.batch,)


def pick(measurements: Sequence[Measurement], ceiling_ms: float) -> Measurement:
    """Choose the fastest under the latency ceiling; among equals the exact one, with more lanes and a smaller batch.

    What takes more cores than keeping up with a front-end does is passed over. Where none is under the ceiling, the
    one with the lowest latency. Rejected ones are not chosen. Raises `Refused` when all are, with their reasons.
    """
    usable = [found for found in measurements if not found.rejected]
    if not usable:
        reasons = "; ".join(f"{found.setting.label}: {found.rejected}" for found in measurements)
        raise Refused(f"no allowed way to run the model works: {reasons or 'no provider has the wanted precision'}")
    ranked = rank(usable, ceiling_ms)
    if not ranked:
        return min(usable, key=lambda found: found.latency_ms)
    most = _most_lanes(ranked)
    enough = _EQUAL * _worth(ranked[0], most)
    return min((found for found in ranked if _worth(found, most) >= enough), key=_simplicity)


def rank(measurements: Sequence[Measurement], ceiling_ms: float) -> list[Measurement]:
    """Sort what may be used, is under the latency ceiling and runs no more threads than it must, the best first."""
    within = [found for found in measurements if not found.rejected and found.latency_ms <= ceiling_ms]
    sufficient = [found.setting.threads for found in within if found.images_per_second >= _FED_PER_S]
    frugal = [found for found in within if not sufficient or found.setting.threads <= min(sufficient)]
    most = _most_lanes(frugal)
    return sorted(frugal, key=lambda found: -_worth(found, most))


def _most_lanes(measurements: Sequence[Measurement]) -> int:
    return max((found.setting.lanes for found in measurements), default=0)


def _worth(found: Measurement, most_lanes: int) -> float:
    # The race sees only the session. Around it each batch crosses between threads twice, which small networks feel;
    # and a lane also decodes, while its other threads idle, so that fewer lanes are worth less than they measured.
    crossing_s = _CROSSING_ELSEWHERE_S if found.setting.elsewhere else _CROSSING_S
    rate = 1 / (1 / found.images_per_second + crossing_s / (found.setting.batch * found.setting.lanes))
    return rate * (1.0 if found.setting.lanes == most_lanes else _FEWER_LANES)


def _simplicity(found: Measurement) -> tuple[bool, int, int, float]:
    setting = found.setting
    return (setting.precision != "fp32", -setting.lanes, setting.batch, found.latency_ms)
