"""Run the program as `python -m audiostride`."""

from audiostride.cli.main import main

main()
