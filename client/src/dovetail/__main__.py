"""Runs the command line, also for `python -m dovetail`; Ctrl-C while it is imported is no traceback."""

import sys


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        from dovetail.cli import main as run  # noqa: PLC0415  # Ctrl-C may come during the import, too
    except KeyboardInterrupt:
        sys.stderr.write("dovetail: Stopped before it began: nothing was changed.\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
