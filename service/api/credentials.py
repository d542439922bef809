"""TLS of the gRPC port: the files are looked at again for every connection, so that certificates can be renewed."""

from __future__ import annotations

import grpc

from service.security.tls import TlsFiles
from service.security.watched import Renewed


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials of a server; raises `InvalidInput` when the files are not what TLS needs."""
    certificates = Renewed("tls", files.paths(), lambda: _configuration(files))
    return grpc.dynamic_ssl_server_credentials(
        certificates.value,
        lambda: certificates.value if certificates.look() else None,  # type: ignore[arg-type,return-value]  # None, for no change, is what gRPC documents
        require_client_authentication=files.clients is not None,
    )


def _configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    found = files.read()
    return grpc.ssl_server_certificate_configuration([(found.key, found.chain)], root_certificates=found.clients)
