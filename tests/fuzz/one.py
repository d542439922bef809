"""`python -m tests.fuzz.one TARGET [libFuzzer's options and folders]`: a target under atheris.

libFuzzer ends the process: with 0 when its time or its runs are over, with another code at the first finding.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["service", "PIL", "tests.fuzz"]):
    from tests.fuzz import targets

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, getattr(targets, name))
    atheris.Fuzz()
