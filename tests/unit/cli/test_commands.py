"""The command's surface: what it accepts, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.commands import serve
from service.config import Config
from service.core.errors import InvalidInput

Vitrine = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def test_every_setting_is_a_flag(runner: CliRunner) -> None:
    """The options of `serve` are the fields of the configuration, with their variables."""
    shown = "".join(runner.invoke(app, ["serve", "--help"], env={"COLUMNS": "400", "NO_COLOR": "1"}).output.split())

    assert [name for name in Config.model_fields if f"--{name.replace('_', '-')}" not in shown] == []
    assert [name for name in Config.model_fields if f"VITRINE_{name.upper()}" not in shown] == []


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """What `serve` was asked to serve; it ends with `InvalidInput` then."""
    configs: list[Config] = []

    def record(config: Config) -> object:
        configs.append(config)
        raise InvalidInput("test", "ends here", None)

    monkeypatch.setattr(serve, "build_server", record)
    return configs


def test_only_given_flags_override(served: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag that is not given leaves the variable in force, one that is given wins."""
    monkeypatch.setenv("VITRINE_LANES", "3")
    monkeypatch.setenv("VITRINE_BATCH", "8")
    with pytest.raises(InvalidInput, match="ends here"):
        serve.app(["--batch", "16", "--grpc", "127.0.0.1:0"], standalone_mode=False)

    assert (served[0].lanes, served[0].batch, served[0].grpc) == (3, 16, "127.0.0.1:0")


def test_switches_take_no_value(served: list[Config]) -> None:
    """What comes behind one is another option; lists are written with commas, or as the option repeated."""
    for providers in (["--providers", "openvino,cpu"], ["--providers", "openvino", "--providers", "cpu"]):
        with pytest.raises(InvalidInput, match="ends here"):
            serve.app(["--insecure", *providers, "--no-introspection"], standalone_mode=False)

    assert {(each.insecure, each.providers, each.introspection) for each in served} == {
        (True, ("openvino", "cpu"), False)
    }


def test_a_wrong_setting_is_one_line(run_vitrine: Vitrine) -> None:
    """It names the field and the value, and ends with exit code 2."""
    done = run_vitrine("serve", "--lanes", "many")

    assert done.returncode == 2
    assert done.stderr.startswith("vitrine: lanes: ")
    assert done.stderr.count("\n") == 1


def test_the_version_is_told(run_vitrine: Vitrine) -> None:
    """With what a bug report needs."""
    lines = run_vitrine("version").stdout.splitlines()

    assert [line.split()[0] for line in lines[:3]] == ["vitrine", "python", "grpcio"]


def test_importing_the_command_is_light() -> None:
    """What only one command needs is imported by that command; torch by none."""
    code = "import sys, service.cli; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = ("torch", "onnxruntime", "grpc", "numpy", "pydantic_settings", "prometheus_client", "uvicorn", "structlog")

    assert [name for name in heavy if f"'{name}'" in loaded] == []
