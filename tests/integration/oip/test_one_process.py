"""Every library of the protocol has its own files of `package inference`; they shall bear each other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.oip.conftest import Facts

OURS, SDK, TRITON, KSERVE = "service.api.server", "service.client", "tritonclient.grpc", "kserve.protocol.grpc"


@pytest.mark.parametrize(
    "order",
    [(OURS, SDK, TRITON), (TRITON, SDK, OURS), (SDK, OURS, f"{KSERVE}.grpc_predict_v2_pb2")],
    ids=["before tritonclient", "after tritonclient", "before kserve"],
)
def test_they_share_a_process(client: Callable[..., Facts], order: tuple[str, ...]) -> None:
    """In one pool of descriptors, whichever came second would fail with a duplicate symbol."""
    assert client("together.py", *order)["imported"] == "all"


def test_their_messages_are_the_same_on_the_wire(client: Callable[..., Facts]) -> None:
    """Different classes, the same bytes, on the protobuf that the clients ask for."""
    facts = client("together.py", OURS, TRITON)

    assert facts["apart"] == [False, "digits", 1, True]
    assert facts["protobuf"] == "6"
