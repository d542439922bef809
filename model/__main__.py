"""`python -m model`: the same as `vitrine-model`."""

from model.cli import main

main()
