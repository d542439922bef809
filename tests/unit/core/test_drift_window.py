from __future__ import annotations

import numpy as np
import pytest

from service.core.drift import ENOUGH, Profile, quantiles
from service.core.drift_window import DEFAULT_LAYERS, MAX_LAYERS, Window, watched
from service.core.errors import InvalidInput
from service.core.spec import Layer

RNG = np.random.default_rng(5)
MEANS = RNG.normal(3, 1, (256, 4))
PROFILE = Profile(len(MEANS), {"relu": quantiles(MEANS)})


def layer(path: str, tensor: str = "") -> Layer:
    return Layer(path, 0, "torch.nn.ReLU", ("Relu",), tensor or path, (1, 2, 2))


def chain(count: int) -> tuple[list[Layer], Profile]:
    """Layers one after the other, all of them in the profile."""
    layers = [layer(f"features.{number}") for number in range(count)]
    return layers, Profile(64, {each.id: quantiles(MEANS) for each in layers})


def test_pictures_as_at_export_do_not_drift() -> None:
    """Others than those of the profile, from the same distribution."""
    window = Window(PROFILE, ["relu"], 100)
    for means in RNG.normal(3, 1, (100, 4)):
        window.add({"relu": means})

    assert window.images == 100
    assert window.compare()["relu"].share == 0
    assert 0 < window.compare()["relu"].ks < 0.3


def test_a_shift_of_some_channels_is_told_by_their_share() -> None:
    """Two of four moved by two standard deviations."""
    window = Window(PROFILE, ["relu"], 100)
    for means in RNG.normal((3, 5, 3, 5), 1, (100, 4)):
        window.add({"relu": means})

    assert window.compare()["relu"].share == 0.5
    assert window.compare()["relu"].ks > 0.5


def test_old_pictures_leave_the_window() -> None:
    """What was wrong an hour ago is not wrong for ever."""
    window = Window(PROFILE, ["relu"], 60)
    for means in [*RNG.normal(9, 1, (60, 4)), *RNG.normal(3, 1, (60, 4))]:
        window.add({"relu": means})

    assert window.images == 60
    assert window.compare()["relu"].share == 0


def test_too_few_pictures_prove_nothing() -> None:
    """The distance is told all the same; a comparison is due when there are enough, and again after as many."""
    window = Window(PROFILE, ["relu"], 500)
    assert not window.due
    for _ in range(ENOUGH - 1):
        window.add({"relu": np.full(4, 99.0)})
        assert not window.due
    few = window.compare()["relu"]
    window.add({"relu": np.full(4, 99.0)})

    assert (few.share, few.ks) == (0, 1)
    assert window.due
    assert window.compare()["relu"].share == 1


def test_some_layers_from_first_to_last_are_watched_unless_chosen() -> None:
    """A profile need not hold all: those that were folded away are not there to be looked at."""
    layers, profile = chain(9)

    assert [each.path for each in watched(layers, profile, ())] == [f"features.{at}" for at in (0, 3, 5, 8)]
    assert len(watched(layers, profile, ())) == DEFAULT_LAYERS
    assert [each.path for each in watched([*layers[:2], layer("folded")], profile, ())] == ["features.0", "features.1"]


def test_layers_are_chosen_by_patterns() -> None:
    """A block stands for the last layer in it, which has the same output; what is in no profile matches nothing."""
    layers, profile = chain(3)
    block, folded = layer("features", tensor="features.2"), layer("norm")

    assert watched([block, *layers], profile, ("features",)) == (layers[2],)
    assert watched([folded, *layers], profile, ("features.[", "norm")) == ()
    assert watched(layers, profile, ("*.0", "features.2")) == (layers[0], layers[2])
    with pytest.raises(InvalidInput, match=r"^drift_layers\[0\]: a layer's name"):
        watched(layers, profile, ("",))


def test_series_are_bounded() -> None:
    """However many match."""
    layers, profile = chain(40)
    chosen = watched(layers, profile, ("**",))

    assert len(chosen) == MAX_LAYERS
    assert (chosen[0], chosen[-1]) == (layers[0], layers[-1])
