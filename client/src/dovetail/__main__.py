"""Runs the command line, also for `python -m dovetail`; neither Ctrl-C nor a defect of the client is a traceback."""

import json
import os
import sys
from types import TracebackType

DEFECT, INTERRUPTED = 70, 130  # 1 would say that the verdict is no


def main() -> None:
    """Run the command line and exit with its status."""
    sys.excepthook = _confess
    try:
        from dovetail.cli import main as run  # noqa: PLC0415  # Ctrl-C may come during the import, too
    except KeyboardInterrupt:
        _say("client-interrupted", "Stopped before it began: nothing was changed.", "", INTERRUPTED)
        sys.exit(INTERRUPTED)
    run()


def _confess(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say that the client has a defect. The exit status of an exception would be 1."""
    if os.environ.get("DOVETAIL_TRACEBACK"):
        sys.__excepthook__(kind, error, traceback)
    _say(
        "client-defect",
        f"This is a defect of the client: {kind.__name__}: {error}",
        "Please report it with what DOVETAIL_TRACEBACK=1 adds.",
        DEFECT,
    )
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(DEFECT)


def _say(code: str, detail: str, fix: str, status: int) -> None:
    if "--json" in sys.argv:
        members = {"code": code, "status": None, "detail": detail, "fix": fix, "exit_status": status}
        sys.stdout.write(json.dumps({"schema": 1, **members}, indent=2) + "\n")
    else:
        sys.stderr.write(f"dovetail: {detail}\n" + (f"  {fix}\n" if fix else ""))


if __name__ == "__main__":
    main()
