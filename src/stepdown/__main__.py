"""`python -m stepdown`."""

from stepdown.cli import main

main()
