"""Tokens as an identity provider issues them, and the file of its public keys."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

PRIVATE = ec.generate_private_key(ec.SECP256R1())


def public(private: ec.EllipticCurvePrivateKey, id: str = "one") -> str:
    described = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return json.dumps({"keys": [{**described, "kid": id, "use": "sig", "alg": "ES256"}]})


def token(private: ec.EllipticCurvePrivateKey = PRIVATE, id: str = "one", **changed: Any) -> str:
    claims: dict[str, Any] = {
        "iss": "https://id.example",
        "aud": "vitrine",
        "sub": "ann",
        "exp": time.time() + 60,
        "scope": "openid infer debug",
    }
    given = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode(given, private, "ES256", {"kid": id})
