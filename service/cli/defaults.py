"""Options from the YAML file of VITRINE_CONFIG, where its `commands` say some: the same file that configures a server.

commands:
  classify: {model: digits, top_k: 3}
  jobs: {submit: {priority: high}}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.core.errors import InvalidInput

#: The key below which they are; all others are those of servers and workers.
COMMANDS = "commands"


def defaults(tree: Any, file: Path) -> dict[str, Any]:
    """Values for the options of the commands in `tree`, as a context's `default_map`. Raises `InvalidInput`."""
    from yaml import YAMLError, safe_load

    try:
        read = safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise InvalidInput("config", f"{file} must be a YAML file", error) from None
    given = read.get(COMMANDS) if isinstance(read, Mapping) else None
    return _checked(given or {}, tree, COMMANDS)


def _checked(given: object, command: Any, field: str) -> dict[str, Any]:
    """`given`, if it names nothing but options and commands of `command`."""
    if not isinstance(given, Mapping):
        raise InvalidInput(field, "a mapping of options", repr(given))
    below = getattr(command, "commands", {})
    options = {option.name for option in command.params}
    for name in given:
        if name not in below and name not in options:
            raise InvalidInput(f"{field}.{name}", f"one of {', '.join(sorted({*below, *options}))}", repr(name))
    return {
        name: _checked(value, below[name], f"{field}.{name}") if name in below else value
        for name, value in given.items()
    }
