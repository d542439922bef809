from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from service.core.tuning import Measurement, Setting, Tuning
from service.engine.policy import EnginePolicy
from service.engine.tuning_cache import Host, TuningCache, cache_for, cache_key, this_host

SETTING = Setting("openvino", "bf16", 2, 1, 4)
TUNING = Tuning(SETTING, (Measurement(SETTING, 388.0, 20.5, 0.16, 1.0),), alone=replace(SETTING, lanes=1), fallback="x")
HOST = Host("Some CPU", 2, ("CPUExecutionProvider",), "1.24.1")
POLICY = EnginePolicy()


def test_a_tuning_comes_back_as_it_was(tmp_path: Path) -> None:
    """Only that it was remembered is added."""
    cache = TuningCache((tmp_path / "new",))

    assert cache.read("key") == (None, "")
    assert cache.write("key", TUNING) == ""
    assert cache.read("key") == (replace(TUNING, cached=True), "")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["key.json"]


def test_where_the_first_folder_cannot_be_written_the_second_is(tmp_path: Path) -> None:
    """A models folder that is mounted read-only leaves the user's cache."""
    blocked = tmp_path / "file"
    blocked.touch()
    cache = TuningCache((blocked / "inside", tmp_path / "user"))

    assert cache.write("key", TUNING) == ""
    assert (tmp_path / "user" / "key.json").exists()


def test_with_no_folder_to_write_to_a_warning_says_so(tmp_path: Path) -> None:
    """The load goes on; the operator learns why the next one measures again."""
    blocked = tmp_path / "file"
    blocked.touch()

    warning = TuningCache((blocked / "inside",)).write("key", TUNING)

    assert warning.startswith("the tuning is not kept and will be measured at the next start: ")
    assert str(blocked / "inside") in warning


KEY = cache_key("aa" * 32, HOST, POLICY)


@pytest.mark.parametrize(
    "other",
    [
        cache_key("ab" * 32, HOST, POLICY),
        cache_key("aa" * 32, replace(HOST, cpu="Another"), POLICY),
        cache_key("aa" * 32, replace(HOST, cores=3), POLICY),
        cache_key("aa" * 32, replace(HOST, providers=()), POLICY),
        cache_key("aa" * 32, replace(HOST, runtime="1.24.2"), POLICY),
        cache_key("aa" * 32, HOST, replace(POLICY, precision="exact")),
        cache_key("aa" * 32, HOST, replace(POLICY, latency_ceiling_ms=51.0)),
        cache_key("aa" * 32, HOST, replace(POLICY, batch=4)),
    ],
)
def test_whatever_decides_a_tuning_is_in_its_key(other: str) -> None:
    """Another model, host, runtime or policy never gets this tuning."""
    assert other != KEY


def test_where_the_cache_is_does_not_change_its_keys() -> None:
    """A cache folder that moves stays valid."""
    assert cache_key("aa" * 32, HOST, replace(POLICY, cache_dir=Path("/elsewhere"))) == KEY


def test_the_cache_is_beside_the_model_then_in_the_users_folder(tmp_path: Path) -> None:
    """As the XDG base directory specification names it; a folder of the operator's is the only one."""
    assert cache_for(tmp_path, POLICY, {"XDG_CACHE_HOME": "/x"}).folders == (
        tmp_path / ".tuning",
        Path("/x/vitrine/tuning"),
    )
    assert cache_for(tmp_path, POLICY, {}).folders[1] == Path.home() / ".cache" / "vitrine" / "tuning"
    assert cache_for(tmp_path, replace(POLICY, cache_dir=Path("/mine")), {}).folders == (Path("/mine"),)


def test_this_host_counts_the_cores_it_may_use() -> None:
    """A description with a CPU's name, at least one core, and what was passed in."""
    host = this_host(("CPUExecutionProvider",), "1.24.1")

    assert host.cpu
    assert host.cores >= 1
    assert (host.providers, host.runtime) == (("CPUExecutionProvider",), "1.24.1")
