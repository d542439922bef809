"""`python -m service` is `vitrine`."""

from service.cli import main

main()
