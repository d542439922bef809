"""One target under atheris for a while, and what came of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import seeds

#: No input of at most 8 KiB may take longer than this, or need more memory.
TIMEOUT_S, MEMORY_MB, LENGTH = 60, 2048, 8192


@dataclass(frozen=True, slots=True)
class Session:
    """What libFuzzer says about itself; `findings` are the inputs that broke the target."""

    executions: int
    edges: int
    took_s: float
    failed: bool
    findings: list[Path]
    output: str


def run(target: str, folder: Path, *, seconds: int = 0, runs: int = -1, seed: int = 0) -> Session:
    """Fuzz `target` for so many seconds or runs; in `folder`, its corpus grows and what it finds is kept.

    With a `seed` it tries the same inputs in the same order every time, on the same Python and the same packages.
    """
    corpus, findings = folder / "corpus", folder / "findings"
    seeds.write(target, corpus)
    findings.mkdir(exist_ok=True)
    before = set(findings.iterdir())
    started = time.monotonic()
    # With a seed, nothing may depend on addresses, on the order of sets, or on the clock (-reload).
    fixed, environment = (_unmoved(), {**os.environ, "PYTHONHASHSEED": "0"}) if seed else ([], None)
    command = [*fixed, sys.executable, "-m", "tests.fuzz.one", target, f"-max_total_time={seconds}", f"-runs={runs}"]
    limits = [
        f"-seed={seed}",
        f"-timeout={TIMEOUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LENGTH}",
        f"-reload={int(not seed)}",
    ]
    # A unit that was slow once was so on a busy machine; what takes longer than the timeout is a finding.
    reports = [f"-artifact_prefix={findings}/", "-print_final_stats=1", f"-report_slow_units={TIMEOUT_S}"]
    done = subprocess.run([*command, *limits, *reports, str(corpus)], capture_output=True, check=False, env=environment)
    output = done.stderr.decode(errors="replace")
    return Session(
        executions=_number(r"stat::number_of_executed_units: +(\d+)", output),
        edges=_number(r"cov: (\d+)", output),
        took_s=time.monotonic() - started,
        failed=done.returncode != 0,
        findings=sorted(set(findings.iterdir()) - before),
        output=output,
    )


def _unmoved() -> list[str]:
    """Runs a program at the same addresses every time, by which libFuzzer keeps what was compared.

    Empty where that is not allowed, as in some containers: then what is tried depends on luck.
    """
    command = ["setarch", "--addr-no-randomize"]
    allowed = shutil.which(command[0]) and subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if allowed and allowed.returncode == 0 else []


def _number(pattern: str, output: str) -> int:
    """The last number of that kind."""
    return int((re.findall(pattern, output) or ["0"])[-1])
