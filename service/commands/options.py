"""The options of commands that run a role: the fields of its configuration, each said once, there."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from service.config import Config

new_loop: Callable[[], asyncio.AbstractEventLoop] | None
try:
    import uvloop
except ImportError:  # it does not exist for Windows
    new_loop = None
else:
    new_loop = uvloop.new_event_loop

Flag = bool | str | list[str] | None


def command(run: Callable[..., None], kind: type[Config], without: Collection[str] = ()) -> typer.Typer:
    """A command line for `run(config, **flags)` with an option for each field of `kind`, but those in `without`.

    Secrets have none: what is on a command line can be read by everybody on the host.
    """
    fields = {
        name: field
        for name, field in kind.model_fields.items()
        if name not in without and SecretStr not in get_args(field.annotation)
    }
    file = typer.Option(help="YAML file of the same options, with underscores", envvar="VITRINE_CONFIG")
    options = [
        _keyword("config", Annotated[Path | None, file]),
        *(_keyword(name, Annotated[_kind(field), _flag(name, field)]) for name, field in fields.items()),
    ]
    # typer reads a command's options from its signature: this one's is that of the configuration.
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in options}
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    return app


def given(flags: Mapping[str, Flag]) -> dict[str, str]:
    """The flags that were given, as the text that `Config` checks wherever it comes from."""
    return {
        name: ",".join(value) if isinstance(value, list) else str(value)
        for name, value in flags.items()
        if value not in (None, [])
    }


def _kind(field: FieldInfo) -> Any:
    """None unless given; what is on or off takes no value, and options of several values may be repeated."""
    if field.annotation is bool:
        return bool | None
    return list[str] | None if isinstance(field.default, tuple) else str | None


def _flag(name: str, field: FieldInfo) -> Any:
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    option = name.replace("_", "-")
    known = f"VITRINE_{name.upper()}" + (f", default {default}" if default not in {None, ""} else "")
    described = f"{field.description} ({known})"
    if field.annotation is bool:
        return typer.Option(f"--{option}/--no-{option}", help=described)
    return typer.Option(f"--{option}", help=described, metavar="|".join(choices) or "VALUE")


def _keyword(name: str, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
