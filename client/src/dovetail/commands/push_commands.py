"""The commands that change an adapter on a hub: push and repair."""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dovetail.api.client import Client, Pushed
from dovetail.commands.arguments import Options
from dovetail.commands.printer import Printer
from dovetail.commands.verdict_commands import conclude, watch_if_judged
from dovetail.ids import MAIN, check_adapter
from dovetail.problems import MISSING, UNDECIDED, Problem, interrupted, usage
from dovetail.verdicts import Verdict

if TYPE_CHECKING:
    from dovetail.api.upload import Payload

LOCAL_PATH = "base.local-path"


def push(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder with the adapter.")],
    adapter: Annotated[
        str, typer.Argument(metavar="NS/NAME", help="The repository; it is created if it does not exist.")
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the verdict; exit 1 if it is not passed.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="With --wait: exit 6 if there is no verdict after this time."),
    ] = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="What changed.")] = None,
    private: Annotated[
        bool | None, typer.Option("--private/--public", help="The visibility, if this push creates the repository.")
    ] = None,
    base: Annotated[
        str,
        typer.Option(metavar="NS/NAME", help="The base to name in the config that is sent; the folder is not changed."),
    ] = "",
    branch: Annotated[str, typer.Option(metavar="NAME", help="The branch; it is created if it does not exist.")] = MAIN,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of pushing.")] = False,
    include: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Send only files that match, as in '*.json'.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Leave out files that match.")] = None,
    delete: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Delete remote files that match and are not in the folder."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and send nothing.")] = False,
    is_checked: Annotated[
        bool, typer.Option("--check/--no-check", help="Run the static checks before anything is sent.")
    ] = True,
) -> None:
    """Push a folder as the next revision of an adapter, in one commit."""
    options: Options = context.obj
    _require_folder(path, adapter)
    from dovetail.api import upload  # noqa: PLC0415  # only a push pays for it

    parcel = upload.collect(path, include=include or (), exclude=exclude or (), base=base)
    deed = _Push(options.printer, options.client(), path, parcel, adapter)
    for name in parcel.rewritten:
        options.printer.note(f"{name} is sent with the base {base}; the one in {path} is unchanged.")
    if dry_run:
        deed.show_plan(branch, delete or [])
        return
    options.printer.names(parcel.files)
    if is_checked and not include:
        deed.check()
    pushed = deed.send(
        message=message,
        private=private,
        base=base,
        branch=branch,
        create_pr=create_pr,
        include=include or (),
        exclude=exclude or (),
        delete=delete or (),
    )
    _answer(options.printer, deed.caller, pushed, wait=wait, timeout=timeout)


def _require_folder(path: Path, adapter: str) -> None:
    if Path(adapter).is_dir() and not path.exists():  # the order of `hf upload`
        raise usage(f"{path} is not a folder, but {adapter} is.", f"Write: dovetail push {adapter} {path}")
    check_adapter(adapter)
    if not path.is_dir():
        why = "is a file" if path.exists() else "does not exist"
        raise usage(f"{path} {why}.", "Name the folder that contains adapter_config.json.")


def _answer(printer: Printer, caller: Client, pushed: Pushed, *, wait: bool, timeout: float | None) -> None:
    """Print the commit, and with `wait` its verdict; exit with the status of that."""
    document: dict[str, object] = {"adapter": pushed.adapter, "revision": pushed.revision, "url": pushed.url}
    document["is_changed"] = pushed.is_changed
    if pushed.pull_request:
        document["pull_request"] = pushed.pull_request
    if pushed.rewritten:
        document["rewritten"] = list(pushed.rewritten)
    if printer.is_human:
        printer.line(f"{pushed.adapter} is at {pushed.revision}\n{pushed.url}")
        if not pushed.is_changed:
            deed = "The pull request changes nothing" if pushed.pull_request else "Nothing was pushed"
            printer.note(f"{deed}: the adapter already has these files.")
        if pushed.pull_request:
            printer.line(pushed.pull_request)
            number = pushed.pull_request.rpartition("/")[2]
            printer.note(f"Merge it there, or with: dovetail pr merge {pushed.adapter} {number}")
    verdict = watch_if_judged(printer, caller, pushed.adapter, pushed.revision, timeout) if wait else None
    if verdict:
        conclude(printer, verdict, document)
    if printer.as_json:
        printer.document({**document, "verdict": None} if wait else document)
    elif printer.quiet:
        printer.line(pushed.revision)
    if wait:
        raise typer.Exit(UNDECIDED)


# --- one run of the command -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Push:
    """The files of a folder on their way to an adapter."""

    printer: Printer
    caller: Client
    path: Path
    parcel: "Payload"
    adapter: str

    def show_plan(self, branch: str, delete: list[str]) -> None:
        """Print each file that is new, changed or deleted."""
        from dovetail.api import upload  # noqa: PLC0415  # only a push pays for huggingface_hub

        parcel, remote = self.parcel, _remote_files(self.caller, self.adapter, branch)
        plan = [
            {"path": path, "size": parcel.size(path), "change": _change(parcel, path, remote)} for path in parcel.files
        ]
        plan += [{"path": path, "size": 0, "change": "deleted"} for path in upload.doomed(list(remote), delete, parcel)]
        if self.printer.as_json:
            members = {"adapter": self.adapter, "branch": branch, "files": plan, "rewritten": list(parcel.rewritten)}
            self.printer.document(members)
            return
        for file in plan:
            if file["change"] != "same":
                self.printer.line(f"{file['change']:<8} {file['path']}")
        same = sum(file["change"] == "same" for file in plan)
        self.printer.note(f"{len(plan) - same:,} would change, {same:,} are the same. Nothing was sent.")

    def check(self) -> None:
        """Run the static checks on what would be sent; exit 1 for a base that is a path, which nobody else can load."""
        from dovetail.adapters.formats.description import describe  # noqa: PLC0415  # as above
        from dovetail.api import local_checks  # noqa: PLC0415  # only a push pays for PyYAML

        if describe(self.parcel.openers()) is None:
            return
        verdict = local_checks.check_files(self.parcel.openers(), str(self.path))
        failed = verdict.failed_checks
        if any(check.id == LOCAL_PATH for check in failed):
            self._refuse(verdict)
        elif failed:
            names = ", ".join(check.id for check in failed)
            self.printer.note(f"The hub will refuse it: {names} failed in `dovetail check`.")

    def _refuse(self, verdict: Verdict) -> None:
        printer, adapter = self.printer, self.adapter
        if printer.is_human:
            printer.checks(tuple(check for check in verdict.failed_checks if check.id == LOCAL_PATH))
        fits = _bases_that_fit(self.caller, self.path)
        if fits:
            printer.note(f"By its tensors it fits {' and '.join(fits)}. Name the one it was trained on:")
        printer.note(f"  dovetail push {self.path} {adapter} --base {fits[0] if fits else 'NS/NAME'}")
        printer.note("Nothing was sent. --no-check sends the folder as it is.")
        conclude(printer, verdict, {"adapter": adapter, "revision": None, "url": None, "fits": fits})

    def send(self, **wishes: Any) -> Pushed:
        """Push with what the options wish. Raises Problem, also for Ctrl-C."""
        is_shown = self.printer.is_human and sys.stderr.isatty()
        try:
            return self.caller.push(self.path, self.adapter, show_progress=is_shown, **wishes)
        except KeyboardInterrupt:
            raise interrupted(
                "Stopped before the commit: the adapter is unchanged.",
                "Sent bytes are kept: the same command sends the rest, then commits.",
            ) from None


def _bases_that_fit(caller: Client, path: Path) -> list[str]:
    """Return the hub's bases of these shapes; [] if it cannot be asked, since the refusal does not depend on it."""
    try:
        return [str(base.get("base")) for base in caller.fit(path)["fits"]]
    except Problem:
        return []


def _remote_files(caller: Client, adapter: str, branch: str) -> dict[str, str]:
    """Return path → sha256 on the hub; {} for an adapter or branch that the push would create."""
    try:
        files = caller.manifest(adapter, branch)["files"]
    except Problem as problem:
        if problem.exit_status != MISSING:
            raise
        return {}
    return {str(file["path"]): str(file["sha256"]) for file in files if isinstance(file, Mapping)}


def _change(parcel: "Payload", path: str, remote: Mapping[str, str]) -> str:
    if path not in remote:
        return "new"
    digest = hashlib.sha256()
    with parcel.open(path) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return "same" if digest.hexdigest() == remote[path] else "changed"


# --- repair -----------------------------------------------------------------------------------------------------------
def repair(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(metavar="NS/NAME", help="The adapter to repair.")],
    base: Annotated[str, typer.Option(metavar="NS/NAME", help="The base to name, if the adapter fits several.")] = "",
    privacy: Annotated[bool, typer.Option("--privacy", help="Remove only private data.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Merge the pull request too.")] = False,
) -> None:
    """Open a pull request that renames or joins weights, names the base, or removes private data; nothing changes
    until it is merged."""
    options: Options = context.obj
    caller, printer = options.client(), options.printer
    pull_request = caller.repair(adapter, base, privacy=privacy)
    merged = caller.merge(adapter, pull_request["number"]) if merge else None
    printer.answer(
        {**pull_request, "merged": merged},
        pull_request["url"],
        f"Pull request #{pull_request['number']} of {adapter}: {pull_request['title']}.",
    )
    if merged:
        printer.note(f"It is merged: {adapter} is at {merged}.")
    else:
        printer.note(f"Merge it there, or with: dovetail repair {adapter}{' --privacy' if privacy else ''} --merge")
