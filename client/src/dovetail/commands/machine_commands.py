"""The commands about this installation: doctor and version.

The doctor examines what stands between this machine and a hub: address, network, hub, clock, token, cache; each with a
fix.
"""

import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from importlib import metadata, util
from pathlib import Path
from urllib.parse import unquote

import typer

from dovetail import __version__, places
from dovetail.answers.versions import Site
from dovetail.api.client import Client
from dovetail.commands.arguments import Options
from dovetail.commands.printer import MARKS, PLAIN_MARKS
from dovetail.problems import DONE, LOCAL, UNREACHABLE, Problem, local_files, usage
from dovetail.transport import READ_ERRORS, Transport, ask

PASSED, WARNED, FAILED = "passed", "warned", "failed"
CLOCK_SECONDS = 60  # signed addresses live as long
ROOM_BYTES = 1 << 30
SLOW_SECONDS = 2.0


@dataclass(frozen=True)
class Finding:
    """One thing that was examined: passed, warned or failed, with the fix."""

    name: str
    outcome: str
    message: str
    fix: str = ""
    exit_status: int = DONE

    def document(self) -> dict[str, object]:
        return {key: value for key, value in asdict(self).items() if key != "exit_status"}


@dataclass(frozen=True)
class _Greeting:
    """The hub's answer to who is there: version, how long it took, and the difference of the clocks in seconds."""

    version: str
    seconds: float
    clock_off: float | None


def examine(endpoint: str | None, token: str | None) -> Iterator[Finding]:
    """Yield what is found, one thing after the other. Where there is no address, the network is left out."""
    yield _versions()
    try:
        address = places.endpoint(endpoint)
        caller = Client(address, token)
    except Problem as problem:
        yield _failed("address", problem)
    else:
        yield Finding("address", PASSED, f"{address}, from {_source(endpoint)}")
        yield from _examine_hub(caller)
    yield _cache()
    yield _variables()


def _versions() -> Finding:
    library = metadata.version("huggingface_hub")
    xet = "with Xet" if util.find_spec("hf_xet") else "without Xet (hf_xet is not installed)"
    system = f"Python {platform.python_version()} on {platform.system()}"
    return Finding("client", PASSED, f"dovetail {__version__}, huggingface_hub {library} {xet}, {system}")


def _source(given: str | None) -> str:
    if given:
        return "--endpoint"
    return next((name for name in ("DOVETAIL_ENDPOINT", "HF_ENDPOINT") if os.environ.get(name)), "your last login")


def _examine_hub(caller: Client) -> Iterator[Finding]:
    try:
        greeting = _greet(caller)
    except Problem as problem:
        yield _failed("hub", problem)
        return
    answered = f"Dovetail {greeting.version}, answered in {greeting.seconds * 1000:,.0f} ms"
    if greeting.seconds > SLOW_SECONDS:
        yield Finding("hub", WARNED, answered, "It is slow: check your network, or ask its administrator.")
    else:
        yield Finding("hub", PASSED, answered)
    yield _clock(greeting.clock_off)
    yield _token(caller)
    yield from _newer_client(caller.endpoint)


def _greet(caller: Client) -> _Greeting:
    """Ask for /api/v1/site, and compare the clocks. Raises Problem."""
    anonymous = Transport(caller.endpoint)  # a token that is refused is found later
    began = time.monotonic()
    with anonymous.open("/site") as answer:
        seconds, date = time.monotonic() - began, answer.headers.get("Date")
    version = anonymous.get("/site", Site)["version"]
    off = time.time() - parsedate_to_datetime(date).timestamp() if date else None
    return _Greeting(version, seconds, off)


def _clock(off: float | None) -> Finding:
    if off is None:
        return Finding("clock", WARNED, "The hub does not report its time.")
    if abs(off) <= CLOCK_SECONDS:
        return Finding("clock", PASSED, f"{abs(off):.0f} s off from the hub's")
    way = "ahead of" if off > 0 else "behind"
    return Finding(
        "clock",
        FAILED,
        f"This clock is {abs(off):,.0f} s {way} the hub's: signed addresses and tokens fail.",
        "Set the clock by NTP (`timedatectl set-ntp true`); if it is right, tell the hub's administrator.",
        LOCAL,
    )


def _token(caller: Client) -> Finding:
    if caller.token is None:
        return Finding("token", WARNED, "None: you can read public data.", "Run `dovetail login` to push.")
    try:
        me = caller.whoami()
    except Problem as problem:
        return _failed("token", problem)
    role = token["role"] if (token := me.get("token")) else "unknown"
    if role == "write":
        return Finding("token", PASSED, f"{me['name']}, with a write token")
    fix = f"Create a write token at {caller.endpoint}/settings/tokens to push."
    return Finding("token", WARNED, f"{me['name']}, with a {role} token", fix)


def _newer_client(endpoint: str) -> Iterator[Finding]:
    """Tell of a newer client that the hub serves; of nothing where it serves none."""
    from packaging.version import Version  # noqa: PLC0415  # no other command needs it

    line = f"{endpoint}/simple/dovetail-hub/latest.txt"
    try:
        with ask("GET", line, {}) as answer:
            text = answer.read(1 << 16).decode(errors="replace") if answer.status == 200 else ""
        stated = re.search(r"/dovetail_hub-([^-/]+)-", text)
        if stated and Version(unquote(stated[1])) > Version(__version__):
            message = f"The hub serves {unquote(stated[1])}; this is {__version__}."
            yield Finding("newer", WARNED, message, f"Run `pip install -r {line}`.")
    except (Problem, ValueError, *READ_ERRORS):  # the hub was examined before, and what it serves may be anything
        return


def _cache() -> Finding:
    """Look whether the caches can be written, and how much room there is."""
    from huggingface_hub import constants  # noqa: PLC0415  # takes 0.3 s, and the network comes first

    findings = [_folder(Path(constants.HF_HUB_CACHE), "HF_HOME"), _folder(places.cache(), "DOVETAIL_CACHE")]
    return max(findings, key=lambda finding: (PASSED, WARNED, FAILED).index(finding.outcome))


def _folder(folder: Path, variable: str) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".dovetail-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        problem = local_files(error)
        return Finding("cache", FAILED, problem.detail, f"Set {variable} to a writable folder.", LOCAL)
    free = shutil.disk_usage(folder).free
    message = f"{folder}, {free / 1e9:,.1f} GB free"
    if free < ROOM_BYTES:
        return Finding("cache", WARNED, message, "Free some space: `dovetail cache prune --days 30`.")
    return Finding("cache", PASSED, message)


def _variables() -> Finding:
    """Look for variables that change what commands do, and that people forget."""
    if places.is_offline():
        return Finding("variables", WARNED, "HF_HUB_OFFLINE is set: no command uses the network.", "Unset it.")
    ours, theirs = os.environ.get("DOVETAIL_ENDPOINT", ""), os.environ.get("HF_ENDPOINT", "")
    if ours and theirs and ours.rstrip("/") != theirs.rstrip("/").removesuffix("/verified"):
        message = f"DOVETAIL_ENDPOINT is {ours}, but `hf` and transformers use HF_ENDPOINT, {theirs}."
        return Finding("variables", WARNED, message, "Set both to the same hub, or unset one.")
    return Finding("variables", PASSED, "no conflicts in the environment")


def _failed(name: str, problem: Problem) -> Finding:
    return Finding(name, FAILED, problem.detail, problem.fix, problem.exit_status or UNREACHABLE)


def doctor(context: typer.Context) -> None:
    """Examine address, network, hub, clock, token and cache, each with a fix; exit as the first failure does."""
    options: Options = context.obj
    printer = options.printer
    marks = MARKS if printer.blocks else PLAIN_MARKS
    findings = []
    for finding in examine(options.endpoint, options.token):
        findings.append(finding)
        if printer.as_json or (printer.quiet and finding.outcome != FAILED):
            continue
        printer.line(f"{marks[finding.outcome]:<2} {finding.name:<10} {finding.message}")
        if finding.fix:
            printer.note(f"   {'':<10} {finding.fix}")
    if printer.as_json:
        printer.document({"findings": [finding.document() for finding in findings]})
    raise typer.Exit(next((finding.exit_status for finding in findings if finding.exit_status), DONE))


def version(context: typer.Context) -> None:
    """Print the version of this client."""
    printer = context.obj.printer
    words = __version__ if printer.quiet else f"dovetail {__version__}"
    printer.answer({"version": __version__, "python": platform.python_version()}, words)


def mcp(context: typer.Context) -> None:
    """Serve tools to an agent over the Model Context Protocol, on standard input and output."""
    options: Options = context.obj
    try:
        from dovetail.integrations import mcp_server  # noqa: PLC0415  # its packages are an extra
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        raise usage(
            f"The package {name} is not installed.", f"Run `{sys.executable} -m pip install 'mcp>=1.10,<2'`."
        ) from None
    mcp_server.server(options.client).run()
