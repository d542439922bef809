from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.core.access import Allowance, Caller, Scope
from service.core.errors import InvalidInput
from service.security import keys


def test_a_new_key_is_found_by_its_hash() -> None:
    """Name, scopes and limits come back; the key itself is nowhere in the file."""
    key, entry = keys.new("shop", [Scope.INFER, Scope.JOBS], {"requests_per_s": 5, "concurrent": 2})

    assert key not in entry
    assert keys.parse(entry).find(key) == Caller(
        "shop", frozenset({Scope.INFER, Scope.JOBS}), Allowance(requests_per_s=5, concurrent=2)
    )
    assert keys.parse(entry).find(key + "x") is None
    assert keys.parse("").find(key) is None


def test_keys_differ() -> None:
    """Nobody can guess one from another: each has 43 random characters behind its prefix."""
    made = {keys.new("shop", [Scope.INFER], {})[0] for _ in range(20)}

    assert len(made) == 20
    assert {(key[:8], len(key)) for key in made} == {("vitrine_", 51)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", r"^keys: must be YAML"),
        ("- name: shop", r"^keys\.0\.sha256: Field required"),
        ("- {name: shop, sha256: vitrine_secret}", r"^keys\.0\.sha256: String should match pattern"),
        ("- {name: 'a b', sha256: %s}", r"^keys\.0\.name: String should match"),
        ("- {name: shop, sha256: %s, scopes: [root]}", r"^keys\.0\.scopes\.0: Input should be 'infer'"),
        ("- {name: shop, sha256: %s, requests_per_s: 0}", r"^keys\.0\.requests_per_s: Input should be greater than 0"),
        ("- {name: shop, sha256: %s, rate: 3}", r"^keys\.0\.rate: Extra inputs"),
        ("- {name: a, sha256: %s}\n- {name: b, sha256: %s}", r"^keys\.sha256: must be given once"),
    ],
)
def test_a_broken_file_is_explained(text: str, message: str) -> None:
    """The place is named; what stands there is not repeated, since it may be a key."""
    filled = text.replace("%s", "a" * 64)

    with pytest.raises(InvalidInput, match=message) as caught:
        keys.parse(filled)

    assert "vitrine_secret" not in str(caught.value)


def test_two_keys_of_one_name_are_refused() -> None:
    """Their limits and their lines in the log could not be told apart."""
    first, second = (keys.new("shop", [Scope.INFER], {})[1] for _ in range(2))

    with pytest.raises(InvalidInput, match=r"^keys\.name: must be given once, got shop$"):
        keys.parse(first + second)


def test_the_command_appends_to_the_file(tmp_path: Path) -> None:
    """The key is all of stdout, so that it can be piped on; the file is for its owner only."""
    file = tmp_path / "keys.yaml"
    made = [
        CliRunner().invoke(app, ["keys", "new", "--name", name, "--scopes", "infer,debug", "--file", str(file)])
        for name in ("shop", "lab")
    ]

    ring = keys.parse(file.read_text())

    assert [each.exit_code for each in made] == [0, 0]
    found = [ring.find(each.stdout.strip()) for each in made]
    assert [caller.name if caller else "" for caller in found] == ["shop", "lab"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_name_that_is_taken_changes_nothing(tmp_path: Path) -> None:
    """The file stays as it was."""
    file = tmp_path / "keys.yaml"
    arguments = ["keys", "new", "--name", "shop", "--file", str(file)]
    CliRunner().invoke(app, arguments)
    before = file.read_text()

    again = CliRunner().invoke(app, arguments)

    assert isinstance(again.exception, InvalidInput)
    assert file.read_text() == before
