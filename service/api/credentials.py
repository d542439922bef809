"""TLS of the gRPC port: the files are looked at again for every connection, so that certificates can be renewed."""

from __future__ import annotations

import grpc
import structlog

from service.core.errors import InvalidInput
from service.security.tls import Certificates, TlsFiles

_log = structlog.get_logger("vitrine.api")


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials of a server; raises `InvalidInput` when the files are not what TLS needs."""
    seen = files.stamp()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal seen
        try:
            stamp = files.stamp()
            if stamp == seen:
                return None
            found = _configuration(files.read())
        except (InvalidInput, OSError) as error:
            # Half-written files, most often; the certificates that were read before go on.
            _log.error("certificates not read again", reason=str(error))
            return None
        seen = stamp
        return found

    return grpc.dynamic_ssl_server_credentials(
        _configuration(files.read()),
        renewed,  # type: ignore[arg-type]  # None, for no change, is what gRPC documents
        require_client_authentication=files.clients is not None,
    )


def _configuration(found: Certificates) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(found.key, found.chain)], root_certificates=found.clients)
