from __future__ import annotations

import json

import numpy as np
import pytest

from service.core.errors import InvalidInput, Refused
from service.core.tuning import Measurement, Setting, Tuning
from service.engine.choice import batches, complete, contenders, frugal, layouts, pick, rank
from service.engine.policy import EnginePolicy
from service.engine.providers import Candidates, choose, configuration
from service.engine.race import Agreement, agreement, objection
from service.engine.runtime import Runtime, installed_runtime

CPU_BUILD = ("CPUExecutionProvider",)
GPU_BUILD = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
OPENVINO_BUILD = ("OpenVINOExecutionProvider", "CPUExecutionProvider")


def measured(
    rate: float,
    *,
    latency_ms: float = 10.0,
    precision: str = "fp32",
    lanes: int = 2,
    batch: int = 1,
    rejected: str = "",
    provider: str = "cpu",
) -> Measurement:
    return Measurement(Setting(provider, precision, lanes, 1, batch), rate, latency_ms, 0.0, 1.0, rejected)


@pytest.mark.parametrize(
    ("available", "names"),
    [(CPU_BUILD, ("cpu",)), (OPENVINO_BUILD, ("openvino", "cpu")), (GPU_BUILD, ("cuda", "cpu"))],
)
def test_auto_takes_what_the_build_has(available: tuple[str, ...], names: tuple[str, ...]) -> None:
    """All but TensorRT, which compiles for minutes and must be asked for."""
    assert choose("auto", available) == Candidates(names, required=False)


def test_named_providers_are_all_required_in_their_order() -> None:
    """The operator's order is kept."""
    assert choose(("cpu", "tensorrt"), GPU_BUILD) == Candidates(("cpu", "tensorrt"), required=True)


@pytest.mark.parametrize("wanted", [(), ("cpu", "cpu"), ("gpu",), ("CPUExecutionProvider",)])
def test_a_list_of_providers_must_make_sense(wanted: tuple[str, ...]) -> None:
    """An unknown, repeated or missing name is the operator's mistake; the message lists the names there are."""
    with pytest.raises(InvalidInput, match=r"^providers: .*tensorrt, cuda, openvino, cpu, got"):
        choose(wanted, OPENVINO_BUILD)


def test_openvino_is_told_precision_streams_and_threads_in_all() -> None:
    """Two lanes of three threads are two streams on six threads; nothing is pinned."""
    configured = configuration(Setting("openvino", "bf16", lanes=2, intra_op_threads=3, batch=4))

    assert isinstance(configured, tuple)
    name, options = configured
    assert name == "OpenVINOExecutionProvider"
    assert options["device_type"] == "CPU"
    assert json.loads(options["load_config"]) == {
        "CPU": {
            "ENABLE_CPU_PINNING": "NO",
            "INFERENCE_PRECISION_HINT": "bf16",
            "INFERENCE_NUM_THREADS": "6",
            "NUM_STREAMS": "2",
        }
    }


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, (("openvino", "fp32"), ("cpu", "fp32"), ("openvino", "bf16"), ("openvino", "fp16"))),
        ({"precision": "exact"}, (("openvino", "fp32"), ("cpu", "fp32"))),
        ({"precision": "bf16"}, (("openvino", "bf16"),)),
    ],
)
def test_every_allowed_precision_races_the_exact_ones_first(
    policy: dict[str, str], expected: tuple[tuple[str, str], ...]
) -> None:
    """When time runs out, it is the exact ones that were measured."""
    wanted = EnginePolicy(**policy)  # type: ignore[arg-type]

    assert contenders(Candidates(("openvino", "cpu"), required=False), wanted) == expected


@pytest.mark.parametrize(
    ("lanes", "threads", "cores", "expected"),
    [
        (None, None, 1, ((1, 1),)),
        (None, None, 2, ((2, 1), (1, 2))),
        (None, None, 8, ((8, 1), (4, 2), (1, 8))),
        (None, 2, 8, ((4, 2),)),
        (None, 16, 8, ((1, 16),)),
        (2, None, 8, ((2, 1), (2, 4))),
        (8, None, 8, ((8, 1),)),
        (3, 2, 8, ((3, 2),)),
    ],
)
def test_layouts_share_the_cores_out(
    lanes: int | None, threads: int | None, cores: int, expected: tuple[tuple[int, int], ...]
) -> None:
    """One lane per core first; what the operator fixed stays fixed."""
    assert layouts(EnginePolicy(lanes=lanes, intra_op_threads=threads), cores) == expected


def test_a_fixed_batch_is_the_only_one_tried() -> None:
    """Otherwise they double."""
    assert batches(EnginePolicy(batch=3)) == (3,)
    assert batches(EnginePolicy()) == (1, 2, 4, 8, 16, 32)


def test_the_fastest_under_the_ceiling_is_picked() -> None:
    """Neither the one that is too slow to answer, nor the one that is wrong."""
    wanted = measured(200, batch=4)
    table = [measured(100), wanted, measured(300, latency_ms=51, batch=8), measured(900, batch=2, rejected="wrong")]

    assert pick(table, ceiling_ms=50) is wanted


def test_among_equals_the_exact_one_with_the_smallest_batch_is_picked() -> None:
    """A few percent are noise: not worth rounding, nor a longer wait."""
    simple = measured(98, batch=2)
    table = [measured(100, precision="bf16"), measured(100, batch=4), simple, measured(80)]

    assert pick(table, ceiling_ms=50) is simple


def test_fewer_lanes_must_be_clearly_faster() -> None:
    """While the only lane decodes, its second core idles, which the race cannot see."""
    two = measured(100, lanes=2)

    assert pick([two, measured(108, lanes=1, latency_ms=5)], ceiling_ms=50) is two
    assert pick([two, measured(130, lanes=1)], ceiling_ms=50).setting.lanes == 1


def test_a_small_network_is_worth_batching() -> None:
    """A batch is handed over as a whole, so eight at once beat one at a time that is as fast in the session."""
    eight = measured(10_000, batch=8)

    assert pick([measured(10_000), eight], ceiling_ms=50) is eight


def test_a_network_that_outruns_the_front_end_leaves_it_a_core() -> None:
    """One lane computes more than can be brought to it: a second one would only take the front-end's time."""
    one = measured(7_000, lanes=1, batch=16)

    assert pick([measured(13_000, batch=16), one], ceiling_ms=50) is one
    assert pick([measured(7_000, batch=16), measured(3_500, lanes=1, batch=16)], ceiling_ms=50).setting.lanes == 2


def test_what_outruns_the_front_end_computes_on_the_lane_itself() -> None:
    """Handing each batch on to another thread costs more than that one gains."""
    here = measured(7_000, lanes=1, batch=16)

    assert pick([measured(13_000, lanes=1, batch=16, provider="openvino"), here], ceiling_ms=50) is here


def test_finals_are_among_those_that_may_be_picked() -> None:
    """Not between settings that are fast on more cores than the front-end can feed."""
    frugal_ones = [measured(7_000, lanes=1, batch=16), measured(6_000, lanes=1, batch=8)]
    table = [measured(20_000, batch=16), measured(90, rejected="x"), *reversed(frugal_ones)]

    assert rank(table, ceiling_ms=50) == frugal_ones


def test_fewer_lanes_are_tried_where_they_suffice() -> None:
    """Of eight lanes two are enough for what one front-end brings; what the operator fixed stays fixed."""
    fast = measured(16_000, lanes=8)

    assert frugal(fast, EnginePolicy()) == ((2, 1),)
    assert frugal(measured(300, lanes=8), EnginePolicy()) == ()
    assert frugal(fast, EnginePolicy(lanes=8)) == ()


def test_with_nothing_under_the_ceiling_the_quickest_is_picked() -> None:
    """A slow model is served all the same."""
    quick = measured(10, latency_ms=90)

    assert pick([measured(20, latency_ms=120, batch=2), quick], ceiling_ms=50) is quick


def test_when_everything_is_rejected_the_reasons_are_told() -> None:
    """One line for whoever has to repair it."""
    with pytest.raises(Refused, match=r"^no allowed way to run the model works: cpu fp32: a; cpu bf16: b$"):
        pick([measured(1, rejected="a"), measured(1, precision="bf16", rejected="b")], ceiling_ms=50)


def test_a_tuning_with_gaps_is_not_complete() -> None:
    """Rejected for what it is, or for want of time: only the second makes another look worth it."""
    setting = Setting("cpu", "fp32", 1, 1, 1)

    assert complete(Tuning(setting, (measured(1), measured(1, rejected="less than a third as fast as the best"))))
    assert not complete(Tuning(setting, (measured(1), measured(0, rejected="not measured: the budget was spent"))))


def test_one_label_of_many_agrees_when_the_winner_is_the_same() -> None:
    """The largest difference is over all logits, the share over pictures."""
    reference = np.array([[1, 2], [3, 1]], np.float32)
    found = np.array([[1.5, 2], [0.5, 1]], np.float32)

    assert agreement(found, reference, "multiclass") == Agreement(2.5, 0.5)


def test_independent_labels_agree_when_every_decision_is_the_same() -> None:
    """A logit's sign is its yes or no."""
    reference = np.array([[1, -1], [1, -1], [1, -1]], np.float32)
    found = np.array([[3, -2], [1, 0.5], [-1, -1]], np.float32)

    assert agreement(found, reference, "multilabel") == Agreement(2.0, 1 / 3)


def test_a_logit_that_is_no_number_agrees_with_nothing() -> None:
    """NaN does not hide from a maximum."""
    reference = np.array([[1, 2]], np.float32)

    found = agreement(np.array([[np.nan, 2]], np.float32), reference, "multiclass")

    assert objection(found, reference, "bf16") != ""


@pytest.mark.parametrize(
    ("found", "precision", "problem"),
    [
        (Agreement(0.4, 1.0), "bf16", ""),
        (Agreement(0.6, 1.0), "bf16", "logits differ by up to 0.6, 0.5 is allowed for bf16"),
        (Agreement(0.02, 1.0), "fp32", "logits differ by up to 0.02, 0.01 is allowed for fp32"),
        (Agreement(0.0, 0.998), "bf16", "top-1 agrees on 99.80% of the samples, 99.9% is required"),
        (Agreement(0.0, 0.999), "bf16", ""),
    ],
)
def test_tolerance_is_a_share_of_the_logits_range(found: Agreement, precision: str, problem: str) -> None:
    """Logits from 0 to 10: 5 % for bf16, 0.1 % for fp32, and the decisions must be the same."""
    reference = np.array([[0, 10]], np.float32)

    assert objection(found, reference, precision) == problem


def _builds(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "1.24.1")


def test_the_one_installed_build_is_found() -> None:
    """Name and version, as pip knows them."""
    assert installed_runtime(_builds("onnxruntime-openvino").get) == Runtime("onnxruntime-openvino", "1.24.1")


def test_a_missing_runtime_is_explained_with_the_commands() -> None:
    """Each choice is a command to copy."""
    with pytest.raises(Refused, match=r"not installed.*'vitrine\[cpu\]' or .*'vitrine\[openvino\]' or .*\[gpu\]'"):
        installed_runtime(_builds().get)


def test_two_builds_are_refused_with_the_commands_that_repair_it() -> None:
    """Both go, since each overwrote the other; the special one comes back."""
    with pytest.raises(Refused) as caught:
        installed_runtime(_builds("onnxruntime", "onnxruntime-openvino").get)

    assert str(caught.value) == (
        "onnxruntime 1.24.1 and onnxruntime-openvino 1.24.1 are installed together, but each overwrites the other's "
        "files; keep one: pip uninstall -y onnxruntime onnxruntime-openvino && pip install 'vitrine[openvino]'"
    )


def test_this_environment_holds_exactly_one_build() -> None:
    """The developers' own installation obeys the rule."""
    assert installed_runtime().distribution.startswith("onnxruntime")


@pytest.mark.parametrize(
    ("field", "value"),
    [("lanes", 0), ("intra_op_threads", -1), ("batch", 0), ("latency_ceiling_ms", 0.0), ("tuning_budget_s", -1.0)],
)
def test_a_policy_is_checked_where_it_is_made(field: str, value: float) -> None:
    """The message names the field and the value."""
    with pytest.raises(InvalidInput, match=f"^{field}: must be .*, got {value}$"):
        EnginePolicy(**{field: value})  # type: ignore[arg-type]
