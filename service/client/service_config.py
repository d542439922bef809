"""For clients that call the generated stubs: gRPC's own retries, so that servers may come and go unnoticed.

The SDK's clients do not need it: they have `Retry`, which also waits as long as an overloaded server asks.
"""

from __future__ import annotations

import json

from service.client.caller import MAX_MESSAGE_BYTES

_POLICY = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

#: gRPC's service config (gRFC A6): what is UNAVAILABLE is tried again, at most five times within about six seconds, on
#: the next of all addresses that the name stands for. Calls wait for a connection instead of failing where there is
#: none: give each a deadline. A server that says NOT_SERVING, as all do before they leave, is sent nothing (gRFC A17):
#: a call that arrives while one closes may end as CANCELLED, which is not retried. Jobs are left out, since submitting
#: twice is safe with an idempotency key only.
SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
        "methodConfig": [
            {
                "name": [
                    {"service": "vitrine.v1.Classifier"},
                    {"service": "vitrine.v1.Introspection"},
                    {"service": "vitrine.v1.Models"},
                    {"service": "inference.GRPCInferenceService"},
                ],
                "waitForReady": True,
                "retryPolicy": _POLICY,
            }
        ],
    }
)

#: Options of a channel that tries again; the target may name several servers, "ipv4:10.0.0.1:50051,10.0.0.2:50051".
#: What is to be sent again must be kept, and gRPC keeps 256 KiB of a call unless told otherwise: less than a photo.
CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
