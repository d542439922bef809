"""Stories about comparing a file with its network, and with other files, layer by layer and without a server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.cli import main
from model.compare import Differences, Network, differences, of_torch, published_network
from model.publish import publish
from model.release import Pictures, release
from service.core.errors import InvalidInput
from service.core.messages import ModelKey
from service.engine.store import ModelStore, StoredModel
from tests import nets

pytestmark = pytest.mark.train

ZOO = Path(__file__).parents[2] / "model" / "zoo"


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    """Published, with a shared activation, batch norms and a sum."""
    models = tmp_path_factory.mktemp("models")
    made = release(nets.build("residual"), nets.spec("residual"), Pictures(random_pixels(32)))
    publish(models, "residual", made.files)
    return ModelStore(models).open(ModelKey("residual", 1))


def random_pixels(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, nets.HEIGHT, nets.WIDTH, 3), np.uint8)


def against(stored: StoredModel, other: Network) -> Differences:
    return differences(published_network(stored), other, random_pixels(32, seed=4), 60.0)


def test_a_file_is_its_network_layer_by_layer(residual: StoredModel) -> None:
    """Every module call, the three of the shared activation in their order, to the last digits of a float."""
    found = against(residual, of_torch(nets.build("residual"), "torch"))

    assert [each.layer for each in found.layers] == [layer.id for layer in residual.spec.layers]
    assert {"act", "act#1", "act#2"} <= {each.layer for each in found.layers}
    assert all(each.sqnr_db > 100 for each in found.layers)
    assert (found.first_diverging, found.only_first, found.images) == ("", (), 32)


def test_a_weight_that_changed_after_the_export_is_found(residual: StoredModel) -> None:
    """The layer that has it is named, not the first that is wrong because of it."""
    net = nets.build("residual")
    with torch.no_grad():
        net.get_parameter("conv2.weight")[3] *= 1.01

    found = against(residual, of_torch(net, "torch"))

    assert found.first_diverging == "conv2"
    assert max(found.drops_db, key=lambda id_: found.drops_db[id_]) == "conv2"
    worst = next(each for each in found.layers if each.layer == "conv2").worst
    assert worst[0][0] == 3
    assert worst[0][1] == pytest.approx(40, abs=3)  # of the products; the bias did not change


def test_networks_without_a_common_layer_have_nothing_to_compare(residual: StoredModel) -> None:
    """The message names both."""
    other = of_torch(torch.nn.Sequential(torch.nn.Flatten()), "something else")

    with pytest.raises(InvalidInput, match="same name as one of residual:1, got something else"):
        against(residual, other)


def test_the_command_compares_a_version_with_its_recipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`guide` holds its weights in its recipe: nothing differs."""
    recipe = ZOO.parent / "recipes" / "guide.toml"
    monkeypatch.setattr("sys.argv", ["vitrine-model", "compare", str(ZOO / "guide" / "1"), str(recipe)])

    with pytest.raises(SystemExit) as ended:
        main()

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "guide:1 against guide on 64 pictures" in shown
    assert "no layer diverges" in shown
    assert shown.count("inf") == 2


def test_a_file_that_is_no_checkpoint_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With what would be accepted."""
    monkeypatch.setattr("sys.argv", ["vitrine-model", "compare", str(ZOO / "guide" / "1"), str(tmp_path)])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert "other: must be a version, a run with best.pt, a checkpoint or a recipe" in capsys.readouterr().err
