"""Runs the command line for `python -m dovetail`."""

from dovetail.cli import main

main()
