"""The story of `make photos`: a network of ImageNet's 1000 classes recognises real photographs."""

from __future__ import annotations

import pytest

from model import photos
from model.release import Release

pytestmark = [pytest.mark.train, pytest.mark.slow]


@pytest.fixture(scope="module")
def released() -> Release:
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra photos")
    pytest.importorskip("skimage", reason="needs the extra photos")
    return photos.make()


@pytest.mark.parametrize(
    ("photograph", "labels"),
    [
        ("chelsea", {"tabby", "tiger cat", "Egyptian cat"}),
        ("coffee", {"espresso", "cup"}),
        ("flower", {"daisy"}),
        ("china", {"palace", "bell cote", "monastery"}),
        ("camera", {"tripod"}),
        ("motorcycle_left", {"moped", "motor scooter"}),
        ("rocket", {"missile", "projectile"}),
    ],
)
def test_photographs_are_recognised(released: Release, photograph: str, labels: set[str]) -> None:
    """A cat is a cat, coffee is espresso; mirrored as well."""
    best = {example.picture: example.predictions[0].label for example in released.card.examples}

    assert best[photograph] in labels
    assert best[f"{photograph} mirrored"] in labels


def test_the_file_is_proved_on_every_photograph(released: Release) -> None:
    """A thousand parts of eight photographs, with the same decision on each."""
    parity = released.card.parity
    assert parity is not None
    assert parity.images == parity.same_decisions == 1000
    assert parity.max_abs_logit_difference <= 1e-4
    assert released.card.labels == 1000
    assert released.card.size.parameters == 4_652_008
    assert "not measured here" in released.files["card.md"].decode()
