"""`vitrine serve`: its options are the fields of `Config`, each said once, there."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from rich.console import Console

from service.bootstrap import build_server
from service.config import Config, parse
from service.lifecycle import Ports
from service.telemetry import logs

new_loop: Callable[[], asyncio.AbstractEventLoop] | None
try:
    import uvloop
except ImportError:  # it does not exist for Windows
    new_loop = None
else:
    new_loop = uvloop.new_event_loop

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def serve(config: Path | None, **flags: str | None) -> None:
    """Serve the models of a folder until SIGTERM or SIGINT, then finish what is in flight.

    Flags come before VITRINE_* variables, those before the YAML file of --config, and that before the defaults.
    """
    settings = parse({name: value for name, value in flags.items() if value is not None}, config)
    logs.configure(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(build_server(settings).run(lambda ports: announce(settings, ports)))


def announce(settings: Config, ports: Ports) -> None:
    """Say where it listens and how to call it."""
    grpc_host, http_host = settings.grpc.rpartition(":")[0], settings.http.rpartition(":")[0]
    server = f"{grpc_host}:{ports.grpc}"
    Console(highlight=False, soft_wrap=True).print(
        f"gRPC  {server}\nHTTP  http://{http_host}:{ports.http}  (/healthz /readyz /metrics)\n\n"
        f"  vitrine models --server {server}\n"
        f"  vitrine classify --server {server} --model NAME PATH",
        markup=False,
    )


def _options() -> list[inspect.Parameter]:
    file = typer.Option(help="YAML file of the same options, with underscores", envvar="VITRINE_CONFIG")
    return [
        _keyword("config", Annotated[Path | None, file]),
        *(_keyword(name, Annotated[str | None, _flag(name, field)]) for name, field in Config.model_fields.items()),
    ]


def _flag(name: str, field: FieldInfo) -> Any:
    """A flag that is None unless given; `Config` checks its text, wherever it comes from."""
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    known = f"VITRINE_{name.upper()}" + (f", default {default}" if default is not None else "")
    return typer.Option(
        "--" + name.replace("_", "-"), help=f"{field.description} ({known})", metavar="|".join(choices) or "VALUE"
    )


def _keyword(name: str, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


# typer reads a command's options from its signature: this one's is that of the configuration.
serve.__signature__ = inspect.Signature(_options())  # type: ignore[attr-defined]
serve.__annotations__ = {option.name: option.annotation for option in _options()}
app.command()(serve)
