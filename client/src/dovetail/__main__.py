"""Runs the command line, also for `python -m dovetail`; neither Ctrl-C nor a defect of the client is a traceback."""

import atexit
import json
import os
import signal
import sys
from types import TracebackType

DEFECT, INTERRUPTED = 70, 130  # 1 would say that the verdict is no


def main() -> None:
    """Run the command line and exit with its status."""
    sys.excepthook, sys.unraisablehook = _confess, _ignore
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # what was done is done, and has its status
    # Ctrl-C during an import can come out as ImportError, RuntimeError or SyntaxError, or not at all.
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, lambda *_: _stop("Stopped before it began: nothing was changed."))
    from dovetail.cli import main as run  # noqa: PLC0415  # a second, in which Ctrl-C may come

    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _stop(detail: str, fix: str = "") -> None:
    _say("client-interrupted", detail, fix, INTERRUPTED)
    _exit(INTERRUPTED)


def _confess(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say that the client has a defect, or was stopped. The exit status of an exception would be 1."""
    if os.environ.get("DOVETAIL_TRACEBACK"):
        sys.__excepthook__(kind, error, traceback)
    if _is_of_ctrl_c(error):
        _stop("Stopped.", "Run the same command again.")
    _say(
        "client-defect",
        f"This is a defect of the client: {kind.__name__}: {error}",
        "Please report it with what DOVETAIL_TRACEBACK=1 adds.",
        DEFECT,
    )
    _exit(DEFECT)


def _ignore(what: "sys.UnraisableHookArgs") -> None:
    """Stop also where Ctrl-C came in a callback of the interpreter, which would ignore it."""
    if _is_of_ctrl_c(what.exc_value):
        _stop("Stopped.", "Run the same command again.")
    sys.__unraisablehook__(what)


def _is_of_ctrl_c(error: BaseException | None) -> bool:
    """Return whether this is KeyboardInterrupt, or was raised because of it or while it was handled."""
    return isinstance(error, KeyboardInterrupt) or (
        error is not None and (_is_of_ctrl_c(error.__cause__) or _is_of_ctrl_c(error.__context__))
    )


def _exit(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _say(code: str, detail: str, fix: str, status: int) -> None:
    if "--json" in sys.argv:
        members = {"code": code, "status": None, "detail": detail, "fix": fix, "exit_status": status}
        sys.stdout.write(json.dumps({"schema": 1, **members}, indent=2) + "\n")
    else:
        sys.stderr.write(f"dovetail: {detail}\n" + (f"  {fix}\n" if fix else ""))


if __name__ == "__main__":
    main()
