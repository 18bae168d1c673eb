"""The programs that *Use* offers for a version, and what became of each when an engine ran it on this version."""

from dataclasses import dataclass, replace

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from dovetail.adapters.results.programs import IMAGES, Address, digest, lacking, packages, programs
from dovetail.adapters.results.report import BasePin
from dovetail.adapters.results.usage import AdapterUsage, ProgramRun
from hub.addresses import absolute, origin
from hub.site.proof import Served
from hub.site.repository.repository_header import RepositoryHeader
from registry.models import Base
from registry.repos import bases, lookup
from registry.repos.bases import serve_of
from registry.repos.contents.facts import is_model_id

TITLES = {
    "pipeline": "transformers pipeline",
    "sentence-transformers": "sentence-transformers",
    "diffusers": "diffusers",
}
LONGEST_ANSWER = 120
# Why lines were not run on this version, where every version has the same reason.
NO_NETWORK = _("The sandbox has no network access. Dovetail’s own tests run such lines.")
NO_BASE = _("This hub does not have the base.")
NOT_PROVEN = _("No engine of this hub has run this version.")
WAITS = _("An engine runs them as soon as no verdict waits.")
SERVER = _("They start a server, which the sandbox does not allow.")
IMAGES_TAKE = _("An image pipeline needs more memory and time than the sandbox allows.")


@dataclass(frozen=True, slots=True)
class Snippet:
    """One tool's way, a command or a program each; without any, `why` says what stands against it.

    `row` is the engine's line in the table of compatibility, from which both were taken. `run` says what became of the
    lines when an engine ran them on this version, `not_run` why none did.
    """

    key: str
    tool: str
    codes: tuple[str, ...] = ()
    why: str = ""
    row: Served | None = None
    run: ProgramRun | None = None
    not_run: str = ""

    @property
    def has_failed(self) -> bool:
        return self.run is not None and self.run.outcome == "failed"

    @property
    def code(self) -> str:
        return "\n".join(self.codes)


def written_programs(request: HttpRequest, header: RepositoryHeader) -> list[Snippet]:
    """Return the programs that load the version and try it on a row, with what became of each when it was run."""
    if why := _refusal_to_load(header):
        return [Snippet("peft", _loader(header), why=why)]
    usage, address = _usage(header), _address(header, origin(request))
    token = token_lines(request, header, address.base)
    report = header.proof.report if header.proof else None
    runs = {(run.key, run.sha256): run for run in (report.programs if report else None) or ()}
    found = []
    for key, code in programs(usage, address).items():
        run = runs.get((key, digest(usage, address, key)))
        answer = " ".join((run.printed if run and run.outcome == "ran" else usage.answer or "").split())
        text = f"{_install(header, packages(usage, key))}{code}"
        text += f"  # {answer[:LONGEST_ANSWER]}" if answer and key in ("peft", "pipeline") else ""
        is_run = run is not None and run.outcome != "not-run"
        not_run = "" if is_run else _not_run(header, lacking(usage, key), run, has_base=address.has_base)
        title = TITLES.get(key) or _loader(header)
        found.append(Snippet(key, title, (*token, text), run=run if is_run else None, not_run=not_run))
    return found


def _not_run(header: RepositoryHeader, library: str, run: ProgramRun | None, *, has_base: bool) -> str:
    """Return why no engine has run a program of this version; `library` is one that the engines do not have."""
    if run is not None:
        return run.problem
    if library:
        lacks = gettext("No engine of this hub has {library}.").format(library=library)
        return IMAGES_TAKE if library == "diffusers" else lacks
    if not has_base:
        return NO_BASE
    report = header.proof.report if header.proof else None
    if report is None or not report.is_passed or report.usage is None:
        return NOT_PROVEN
    return WAITS


def _loader(header: RepositoryHeader) -> str:
    return "adapters" if header.described["format"] == "adapters" else "peft"


def _refusal_to_load(header: RepositoryHeader) -> str:
    """Return why no library loads the version; "" if one does."""
    if header.described["format"] in IMAGES:
        rows = [row for row in (header.proof.served if header.proof else []) if row.answer.engine == "diffusers"]
        return _refusal(rows) or _refusal_without_base(header)
    return _refusal_without_base(header) if header.described["format"] == "adapters" else _peft_refusal(header)


def _refusal_without_base(header: RepositoryHeader) -> str:
    is_named = is_model_id(header.described["base"])
    return "" if is_named else "It names no base model that others have, so nothing can be loaded."


def _usage(header: RepositoryHeader) -> AdapterUsage:
    """Return how the version is used, as the engine that ran it tells, else as far as its files say."""
    report = header.proof.report if header.proof else None
    if report is not None and report.usage is not None:
        return report.usage
    format, kind = header.described["format"], header.described["kind"]
    stated = replace(header.facts.usage, format=format, kind=kind)
    if format not in IMAGES or header.weights is None:
        return stated
    file = header.weights.path.rpartition("/")[2]
    return replace(stated, file=file, sample=tuple(header.facts.words[:1]))


def _address(header: RepositoryHeader, here: str) -> Address:
    """Return where version and base are found; the base as the verdict pins it, if this hub serves those bytes."""
    report = header.proof.report if header.proof else None
    pinned = (report.base if report else None) or BasePin(str(header.described["base"]))
    base = bases.find(pinned.id)
    has_base = (base is not None and serve_of(base) != Base.Serve.NOBODY) or lookup.named(pinned.id, "model").exists()
    is_same = base is not None and pinned.revision in (None, "", base.revision)
    revision = bases.oid_of(base) if base and is_same else ""
    if base and not has_base and base.sha256.startswith(revision):  # no hub but this one knows such a revision
        revision = ""
    is_elsewhere = not has_base and not settings.UPSTREAM.hubs
    return Address(header.repository.full_name, header.pin, here, pinned.id, revision, has_base=not is_elsewhere)


def _has_closed_base(name: str) -> bool:
    base = bases.find(name)
    return base is not None and serve_of(base) in (Base.Serve.GATED, Base.Serve.MEMBERS)


def _peft_rows(header: RepositoryHeader) -> list[Served]:
    """Return the releases of PEFT in the table of the page, the newest first."""
    served = header.proof.served if header.proof else []
    releases = [row for row in served if row.title.startswith("PEFT ")]
    return sorted(releases, key=lambda row: [int(part) for part in row.title.split()[1].split(".")], reverse=True)


def _peft_refusal(header: RepositoryHeader) -> str:
    """Return why PEFT does not load the adapter, by the table of the page where it has rows; "" if PEFT does."""
    if (why := _refusal(_peft_rows(header))) and not _proven_peft(header):
        return why
    if header.described["format"] not in ("peft", "unknown"):
        return f"PEFT does not load this format, {header.described['format']}."
    return _refusal_without_base(header)


def _install(header: RepositoryHeader, needed: list[str]) -> str:
    """Return a comment with the command that installs these packages.

    Of PEFT it names the oldest release that loads the adapter, where the table says that older ones do not.
    """
    rows = _peft_rows(header)
    serving = [row.title.removeprefix("PEFT ") for row in rows if row.outcome == "serves"]
    oldest = "" if len(serving) == len(rows) else serving[-1] if serving else _proven_peft(header)
    named = [f'"peft>={oldest}"' if name == "peft" and oldest else name for name in needed]
    return f"# pip install {' '.join(named)}\n"


def _proven_peft(header: RepositoryHeader) -> str:
    """Return the release of PEFT with which the revision passed; "" if it did not, or not with PEFT."""
    report = header.proof.report if header.proof else None
    is_proven = report is not None and report.is_passed and report.format == "peft"
    return report.engine.peft if is_proven and report and report.engine else ""


def _refusal(rows: list[Served]) -> str:
    """Return why an engine does not serve the adapter, by its rows in the table of the page; "" if it does."""
    return rows[0].reason if rows and all(row.outcome != "serves" for row in rows) else ""


def is_closed(header: RepositoryHeader) -> bool:
    """Return whether the files are for people with a token alone."""
    return header.repository.private or bool(header.repository.gated)


def token_lines(request: HttpRequest, header: RepositoryHeader, base: str = "") -> tuple[str, ...]:
    """Return the line that sets a token; none where anybody may have the files, and those of a base that is named."""
    if not is_closed(header) and not _has_closed_base(base):
        return ()
    return (f"export HF_TOKEN=…   # from {absolute(request, reverse('tokens'))}",)
