"""Expiry of certificates, as a scrape tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import trustme

from service.telemetry.metrics import Metrics


def told(metrics: Metrics, file: Path) -> float:
    """The gauge of one file."""
    start = f'vitrine_certificate_expiry_timestamp_seconds{{file="{file}"}} '
    lines = metrics.render()[0].decode().splitlines()
    return float(next(line for line in lines if line.startswith(start)).removeprefix(start))


def test_a_renewed_certificate_is_seen_at_the_next_scrape(tmp_path: Path) -> None:
    """The file is read again each time."""
    authority, file = trustme.CA(), tmp_path / "server.pem"
    metrics = Metrics("1")
    metrics.watch_certificates([file])
    dates = [datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 6, 1, tzinfo=UTC)]

    seen = []
    for date in dates:
        authority.issue_cert("localhost", not_after=date).private_key_and_cert_chain_pem.write_to_path(str(file))
        seen.append(told(metrics, file))

    assert seen == [date.timestamp() for date in dates]


def test_a_file_that_is_no_certificate_counts_as_expired(tmp_path: Path) -> None:
    """The alert shall come, not the scrape fail."""
    file = tmp_path / "server.pem"
    file.write_text("no certificate")
    metrics = Metrics("1")
    metrics.watch_certificates([file, tmp_path / "missing.pem"])

    assert told(metrics, file) == 0
    assert told(metrics, tmp_path / "missing.pem") == 0
