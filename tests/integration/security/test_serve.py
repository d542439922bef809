"""`vitrine serve` with everything switched on, as an operator would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from service.bootstrap.guards import guards
from service.client import Client, Credentials
from service.config import parse
from service.core.access import Scope
from service.core.errors import Forbidden, InvalidInput, Unauthenticated
from service.security import keys
from service.security.pacing import LocalPacing
from tests.integration.distributed.deployment import until
from tests.integration.security.conftest import Pki
from tests.serving import Serving, starter
from tests.tokens import PRIVATE, public, token


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    with starter(tmp_path) as start:
        yield start


@pytest.mark.parametrize("field", ["grpc", "http"])
def test_a_public_address_is_refused_unless_somebody_watches_it(field: str) -> None:
    """The message says what is missing; saying `insecure` is taking the blame."""
    public = {field: "0.0.0.0:0"}

    with pytest.raises(InvalidInput, match=rf"^{field}: a public address needs TLS .* got 0\.0\.0\.0:0$"):
        guards(parse(public), LocalPacing())
    assert guards(parse({**public, "insecure": True}), LocalPacing()).gate is None


def test_tls_alone_is_not_enough(pki: Pki) -> None:
    """Encrypted strangers are strangers."""
    files = pki.server()

    with pytest.raises(InvalidInput, match=r"^grpc: a public address needs"):
        guards(parse({"grpc": "[::]:0", "tls_cert": files.chain, "tls_key": files.key}), LocalPacing())


def test_a_certificate_needs_its_key(pki: Pki) -> None:
    """Half a setting, and two halves that do not fit."""
    files = pki.server()
    _, other = pki.issue("other", "127.0.0.1")

    with pytest.raises(InvalidInput, match=r"^tls_cert: must be set together with tls_key"):
        guards(parse({"tls_cert": files.chain}), LocalPacing())
    with pytest.raises(InvalidInput, match=r"^tls: must be PEM files of a certificate and its key"):
        guards(parse({"tls_cert": files.chain, "tls_key": other}), LocalPacing())


def test_tokens_need_an_issuer_and_an_audience(tmp_path: Path) -> None:
    """Else a token that somebody made for another service would open this one."""
    (tmp_path / "jwks.json").write_text('{"keys": []}')

    with pytest.raises(InvalidInput, match=r"^jwt_issuer: must be set together with jwt_keys"):
        guards(parse({"jwt_keys": tmp_path / "jwks.json"}), LocalPacing())


def test_secrets_are_not_in_the_log_and_the_key_opens_the_door(
    serve: Callable[..., Serving], tmp_path: Path, nine: bytes
) -> None:
    """TLS and keys from files; the log of it all holds neither the key nor its hash."""
    key, entry = keys.new("shop", [Scope.INFER], {})
    (tmp_path / "keys.yaml").write_text(entry)
    serving = serve("guide", KEYS_FILE=str(tmp_path / "keys.yaml"), LOG_LEVEL="debug")

    with Client(serving.grpc, credentials=Credentials(key)) as shop:
        assert shop.classify(nine, model="guide").predictions
    with Client(serving.grpc, credentials=Credentials("vitrine_wrong")) as stranger, pytest.raises(Unauthenticated):
        stranger.classify(nine, model="guide")
    serving.process.terminate()
    serving.process.wait()

    assert key not in "".join(serving.log)
    assert keys.digest(key) not in "".join(serving.log)


def test_the_expiry_of_certificates_is_told_without_redis_too(serve: Callable[..., Serving], pki: Pki) -> None:
    """Those of a balancer in front, here."""
    chain, _ = pki.issue("balancer", "localhost")
    serving = serve("guide", CERTIFICATES=str(chain))

    told = httpx.get(f"{serving.http}/metrics").text

    assert f'vitrine_certificate_expiry_timestamp_seconds{{file="{chain}"}} ' in told


def test_a_key_is_taken_back_without_a_restart(serve: Callable[..., Serving], tmp_path: Path, nine: bytes) -> None:
    """Its entry is removed from the file, another one is added: within a second or so both count."""
    (old, first), (new, second) = (keys.new(name, [Scope.INFER], {}) for name in ("shop", "shop2"))
    file = tmp_path / "keys.yaml"
    file.write_text(first)
    serving = serve("guide", KEYS_FILE=str(file))
    with (
        Client(serving.grpc, credentials=Credentials(old)) as shop,
        Client(serving.grpc, credentials=Credentials(new)) as next_shop,
    ):
        shop.classify(nine, model="guide")
        file.write_text(second)
        until(lambda: _refused(shop, nine))

        assert next_shop.classify(nine, model="guide").predictions


def _refused(client: Client, image: bytes) -> bool:
    try:
        client.classify(image, model="guide")
    except Unauthenticated:
        return True
    return False


def test_a_token_opens_what_its_scopes_allow(serve: Callable[..., Serving], tmp_path: Path, nine: bytes) -> None:
    """Signed by whom the file of public keys names; looking in is another scope, and another audience is nobody."""
    (tmp_path / "jwks.json").write_text(public(PRIVATE))
    issued = {"JWT_KEYS": str(tmp_path / "jwks.json"), "JWT_ISSUER": "https://id.example", "JWT_AUDIENCE": "vitrine"}
    serving = serve("guide", **issued)

    with Client(serving.grpc, credentials=Credentials(token(scope="infer"))) as ann:
        assert ann.classify(nine, model="guide").predictions
        with pytest.raises(Forbidden, match="debug"):
            ann.features("conv", nine, model="guide")
    with Client(serving.grpc, credentials=Credentials(token(aud="others"))) as other, pytest.raises(Unauthenticated):
        other.classify(nine, model="guide")


def test_a_command_takes_its_key_from_the_environment(
    serve: Callable[..., Serving], tmp_path: Path, nine: bytes
) -> None:
    """Without it, the one line on stderr says what is missing."""
    key, entry = keys.new("shop", [Scope.INFER], {})
    serving = serve("guide", KEYS=entry)
    (tmp_path / "nine.png").write_bytes(nine)
    command = [sys.executable, "-m", "service", "models", "--server", serving.grpc]

    known = subprocess.run(command, env={"VITRINE_API_KEY": key}, capture_output=True, text=True, check=False)
    unknown = subprocess.run(command, env={}, capture_output=True, text=True, check=False)

    assert (known.returncode, "guide" in known.stdout) == (0, True)
    assert unknown.returncode == 2
    assert unknown.stderr == "vitrine: authorization: an API key or a token is needed, as 'authorization: Bearer ...'\n"
