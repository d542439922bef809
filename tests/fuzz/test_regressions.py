"""What fuzzing found once, and what was found by looking where it had: each was an error that nobody handled."""

from __future__ import annotations

import pytest

from service.core.errors import InvalidInput
from service.oip.tensors import from_list, from_raw
from service.web.open_inference_json import read_request

#: As many as Python reads; of the product of two such numbers, it would not write them.
DIGITS = "9" * 4000


def _body(datatype: str = "UINT8", shape: str = "[1]", data: str = "[0]", content_type: str = "") -> bytes:
    """A request as text, so that it can hold what no encoder writes."""
    image = f'"name": "image", "datatype": "{datatype}", "shape": {shape}, "data": {data}'
    parameters = f'"parameters": {{"content_type": "{content_type}"}}'
    return f'{{"inputs": [{{{image}, {parameters}}}]}}'.encode("utf-8", "surrogatepass")


def _text(text: str, content_type: str = "") -> bytes:
    return _body("BYTES", data=f'["{text}"]', content_type=content_type)


@pytest.mark.parametrize(
    ("body", "length", "message"),
    [
        (_text("R0lGOÜ==", content_type="base64"), None, "inputs[0].data: base64, as content_type says, got string"),
        (_text(r"\ud800"), None, "body: must be JSON, got 'utf-8' codec can't encode character '\\ud800'"),
        (_text("\ud800"), None, "body: must be JSON, got 'utf-8' codec can't decode"),
        (_body(shape=f"[{DIGITS}]"), None, "inputs.image.shape: at most 2147483648 elements, got [999"),
        (_body(shape=f"[{DIGITS}, {DIGITS}]"), None, "inputs.image.shape: at most 2147483648 elements, got [999"),
        (_body(), "9" * 5000, "inference-header-content-length: a number of bytes of the body, at most "),
    ],
    ids=["base64 beyond ASCII", "half a pair, escaped", "half a pair", "digits", "their product", "a long length"],
)
def test_requests_over_http_are_refused(body: bytes, length: str | None, message: str) -> None:
    """As the caller's mistakes, each with its field."""
    with pytest.raises(InvalidInput) as refused:
        read_request("colour", "", body, length)

    assert str(refused.value).startswith(message)


def test_a_pair_of_surrogates_is_a_character() -> None:
    """It is how JSON escapes what lies beyond 16 bits."""
    request, _ = read_request("colour", "", _text(r"\ud83d\udc26"), None)

    assert list(request.inputs[0].elements) == ["\U0001f426".encode()]


def test_tensors_have_few_dimensions() -> None:
    """NumPy has a limit too, and the product of millions of them would take hours."""
    with pytest.raises(InvalidInput, match=r"inputs\.image\.shape: at most 8 dimensions, got 1000000"):
        from_raw("image", "UINT8", (1 << 62,) * 1_000_000, b"\0")


def test_one_long_text_among_numbers_takes_no_memory() -> None:
    """NumPy would make as much room for every number: here 4 TB."""
    with pytest.raises(InvalidInput, match=r"inputs\.image: numbers for FP32, got something else"):
        from_list("image", "FP32", (1_000_000,), ["x" * 1_000_000, *[0.5] * 999_999])


def test_a_flag_is_no_number() -> None:
    """Python counts with them."""
    with pytest.raises(InvalidInput, match=r"inputs\.image: numbers for UINT8, got something else"):
        from_list("image", "UINT8", (2,), [True, 1])
