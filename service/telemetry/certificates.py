"""Until when certificates are good: the alert that comes weeks before nobody can connect any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class CertificateExpiry(Collector):
    """Reads PEM files at each scrape, since they are renewed in place; one that cannot be read has expired (0)."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """When the first certificate of each file expires, in seconds since 1970."""
        family = GaugeMetricFamily(
            "vitrine_certificate_expiry_timestamp_seconds", "When the certificate expires", labels=["file"]
        )
        for file in self._files:
            family.add_metric([str(file)], _expiry(file))
        yield family


def _expiry(file: Path) -> float:
    from cryptography import x509  # noqa: PLC0415 - 7 MB that only TLS is worth

    try:
        return x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return 0.0
