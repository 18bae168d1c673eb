"""The one exception of the client: a sentence, the fix, and the command line's exit status."""

from collections.abc import Mapping

DONE, REFUTED, USAGE, FORBIDDEN, MISSING, UNREACHABLE, UNDECIDED, LOCAL, HELD_BACK = range(9)
INTERRUPTED = 130
_OF_CODES = {
    "client-usage": USAGE,
    "client-token-missing": FORBIDDEN,
    "client-verdict-no": REFUTED,
    "client-verdict-pending": UNDECIDED,
    "client-try-failed": REFUTED,
    "client-try-late": UNDECIDED,
    "client-not-convertible": REFUTED,
    "client-local-files": LOCAL,
    "client-path-refused": LOCAL,
    "client-lock-broken": LOCAL,
    "client-sync-busy": LOCAL,
    "client-disk-full": LOCAL,
    "client-logins-broken": LOCAL,
    "client-interrupted": INTERRUPTED,
}
UNAUTHORIZED = 401
_NOT_SIGNED_IN = (UNAUTHORIZED, 403)
_NOT_THERE = (404, 410)
_MISUSED = (400, 405, 409, 411, 412, 413, 415, 422, 501)


class Problem(Exception):
    """A refusal of the hub or of this machine. `code` is one of docs/errors.md, or begins with `client-`."""

    def __init__(self, detail: str, fix: str = "", *, code: str = "client-usage", status: int | None = None) -> None:
        super().__init__(detail)
        self.detail, self.fix, self.code, self.status = detail, fix, code, status
        self.wait_seconds: int | None = None  # the hub's Retry-After

    def __str__(self) -> str:
        return f"{self.detail} {self.fix}".rstrip()

    @property
    def exit_status(self) -> int:
        """Return 2 usage, 3 not signed in or not allowed, 4 not found, 5 network or server, 6 no verdict, 7 files."""
        if self.status is None:
            return _OF_CODES.get(self.code, UNREACHABLE)
        if self.status in _NOT_SIGNED_IN:
            return FORBIDDEN
        if self.status in _NOT_THERE:
            return MISSING
        return USAGE if self.status in _MISUSED else UNREACHABLE

    def document(self) -> dict[str, object]:
        """Return the problem for programs."""
        members = {"code": self.code, "status": self.status, "detail": self.detail, "fix": self.fix}
        return {**members, "exit_status": self.exit_status}


def usage(detail: str, fix: str = "") -> Problem:
    """Return the problem of a wrong use of the command line."""
    return Problem(detail, fix)


def not_signed_in(endpoint: str) -> Problem:
    """Return the problem of a command that needs an account, without a token."""
    return Problem(f"You are not signed in at {endpoint}.", "Run `dovetail login`.", code="client-token-missing")


def interrupted(detail: str = "Stopped.", fix: str = "Run the same command again.") -> Problem:
    """Return the problem of a command that Ctrl-C ended; `detail` says what is kept."""
    return Problem(detail, fix, code="client-interrupted")


def local_files(error: OSError) -> Problem:
    """Return the problem of a file on this machine that cannot be read or written."""
    place = f"{error.filename}: " if error.filename else ""
    return Problem(
        f"{place}{error.strerror or error or type(error).__name__}.".replace("..", "."),
        "Check that it exists, that you have access to it, and that the disk is not full.",
        code="client-local-files",
    )


def unreachable(endpoint: str, reason: object, proxy: str = "") -> Problem:
    """Return the problem of a hub that does not answer, or of the proxy through which it was asked."""
    cause = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    through, fix = f" through the proxy {proxy}" if proxy else "", "Check the address and your network."
    if proxy:
        fix = f"Check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or name this host in NO_PROXY. {fix}"
    return Problem(f"{endpoint} does not answer{through}: {cause}.", fix, code="client-unreachable")


def offline() -> Problem:
    """Return the problem of a command that HF_HUB_OFFLINE keeps from the network."""
    return Problem(
        "HF_HUB_OFFLINE keeps this command from the network.",
        "Unset it, and run this again.",
        code="client-unreachable",
    )


def no_hub(endpoint: str) -> Problem:
    """Return the problem of a server that is not a Dovetail hub."""
    return Problem(
        f"{endpoint} does not answer like a Dovetail hub.",
        "Check --endpoint or DOVETAIL_ENDPOINT.",
        code="client-no-hub",
    )


def refusal(status: int, answer: Mapping[str, object], endpoint: str) -> Problem:
    """Return the problem that a hub's answer (RFC 9457, or anything else) states."""
    if "code" in answer and "detail" in answer:
        return Problem(str(answer["detail"]), str(answer.get("fix") or ""), code=str(answer["code"]), status=status)
    if status in _NOT_THERE:
        return no_hub(endpoint)
    return Problem(
        f"{endpoint} answered {status}.",
        "Try again; if it happens again, tell its administrator.",
        status=status,
        code="client-answer",
    )
