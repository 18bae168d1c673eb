"""Lets `python -m dovetail` be the command."""

from dovetail.cli import main

main()
