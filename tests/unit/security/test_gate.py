from __future__ import annotations

import time
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service.core.access import NOBODY, Caller, Scope
from service.core.errors import Forbidden, InvalidInput, Unauthenticated
from service.security import keys
from service.security.gate import Gate, admit
from service.security.tokens import Issuer, Tokens, parse_keys
from tests.tokens import PRIVATE, public, token

KEY, ENTRY = keys.new("shop", [Scope.INFER], {})
Make = Callable[..., str]


@pytest.fixture
def gate() -> Gate:
    ring, known = keys.parse(ENTRY), parse_keys(public(PRIVATE))
    tokens = Tokens(Issuer("https://id.example", "vitrine"), lambda: known)
    return Gate(lambda: ring, tokens.caller, frozenset({Scope.JOBS}))


@pytest.mark.parametrize(
    "headers", [{"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"x-api-key": KEY}]
)
def test_a_key_is_read_from_either_header(gate: Gate, headers: dict[str, str]) -> None:
    """As a bearer, or on its own."""
    assert gate.identify(headers) == Caller("shop", frozenset({Scope.INFER}))


def test_a_token_names_its_subject_and_scopes(gate: Gate) -> None:
    """Scopes that are meant for others are passed over."""
    assert gate.identify({"authorization": f"Bearer {token()}"}) == Caller("ann", frozenset({Scope.INFER, Scope.DEBUG}))
    listed = token(scope=None, scp=["jobs", "mail"])
    assert gate.identify({"authorization": f"Bearer {listed}"}).scopes == {Scope.JOBS}


@pytest.mark.parametrize("scope", [5, {"infer": True}, [["infer"]], ""])
def test_a_scope_that_is_no_list_allows_nothing(gate: Gate, scope: object) -> None:
    """Whatever an issuer puts there, it is no error of ours."""
    assert gate.identify({"authorization": f"Bearer {token(scope=scope)}"}).scopes == frozenset()


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda: token(exp=time.time() - 60), "Signature has expired"),
        (lambda: token(aud="others"), "Audience doesn't match"),
        (lambda: token(iss="https://evil.example"), "Invalid issuer"),
        (lambda: token(sub=None), 'missing the "sub" claim'),
        (lambda: token(exp=None), 'missing the "exp" claim'),
        (lambda: token(ec.generate_private_key(ec.SECP256R1())), "Signature verification failed"),
        (lambda: token(id="two"), "a key that is not known here"),
        (lambda: "a.b.c", "Invalid"),
        (lambda: jwt.encode({"sub": "ann"}, "", "none"), "alg value is not allowed"),
    ],
)
def test_a_token_that_does_not_hold_is_refused(gate: Gate, made: Make, problem: str) -> None:
    """Expired, for others, by others, signed by others, or not signed at all."""
    with pytest.raises(Unauthenticated, match=problem):
        gate.identify({"authorization": f"Bearer {made()}"})


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(gate: Gate) -> None:
    """The confusion of algorithms: what everybody may know signs nothing."""
    forged = jwt.api_jws.PyJWS().encode(b'{"sub":"ann"}', b"x" * 64, "HS256", {"kid": "one"})

    with pytest.raises(Unauthenticated):
        gate.identify({"authorization": f"Bearer {forged}"})


def test_a_certificate_is_proof_too(gate: Gate) -> None:
    """Its name is the caller's, with the scopes that the operator gave to all of them; a key beside it wins."""
    assert gate.identify({}, "printer") == Caller("printer", frozenset({Scope.JOBS}))
    assert gate.identify({"x-api-key": KEY}, "printer").name == "shop"


def test_a_wrong_key_is_not_nobody(gate: Gate) -> None:
    """Who tried to prove something and failed hears about it."""
    assert gate.identify({}) is NOBODY
    with pytest.raises(Unauthenticated, match="no such API key"):
        gate.identify({"x-api-key": "vitrine_guess"})
    with pytest.raises(Unauthenticated, match="no such API key"):
        Gate().identify({"x-api-key": KEY})


def test_what_needs_a_scope_needs_proof(gate: Gate) -> None:
    """Without any the message says how to give it; with the wrong one, what is missing."""
    assert admit(gate, None, {}) is NOBODY
    assert admit(gate, Scope.INFER, {"x-api-key": KEY}).name == "shop"
    with pytest.raises(Unauthenticated, match="authorization: Bearer"):
        admit(gate, Scope.INFER, {})
    with pytest.raises(Forbidden, match="'admin'"):
        admit(gate, Scope.ADMIN, {"x-api-key": KEY})


def test_public_keys_must_be_a_set() -> None:
    """Anything else is the operator's mistake."""
    with pytest.raises(InvalidInput, match=r"^jwt_keys: must be a JSON Web Key Set"):
        parse_keys("[]")
