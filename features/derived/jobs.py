"""Makes derived versions: lays the sources out, converts or merges them in a jailed process, commits what came out."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from celery import shared_task

from dovetail.adapters.convert import NEEDS_BASE
from dovetail.adapters.files import config as configs
from features.derived import claims, verbs
from features.derived.claims import Work
from features.derived.models import DerivedVersion
from features.derived.verbs import is_merge
from registry.kernel.errors import RegistryError, ShelfProblem, StoreUnavailable
from registry.kernel.seams import Jobs
from registry.models import Base, Revision
from registry.repos import bases, pull
from registry.repos.contents import stored_facts
from workers import base_folders
from workers.engine import work_folders
from workers.engines import capabilities, sessions

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).parent / "engine" / "make_version.py"
SECONDS = 20  # after that no request is begun: the others wait for the next tick
WALL_SECONDS = 400  # of one request
MAX_ANSWER = 64 << 10
CARD_KEYS = ("lora_alpha", "enable_lora", "pipeline_tag")  # for `convert.stated`
MARK = "derived.json"  # says in the version itself what it is made of


class Refused(Exception):
    """The sources do not allow what was asked for."""


JOBS = Jobs()  # a task alone


@shared_task(name="workers.tasks.derive")
def derive(_: int = 0) -> None:
    """Make the derived versions that wait; the id of the one that was asked for is only a hint."""
    work()


def work() -> None:
    """Do the requests that wait, one after the other."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and (derived := claims.claim()):
        make(derived)


def make(derived: DerivedVersion) -> None:
    """Make one derived version, and record what became of it."""
    details = {"derived": derived.pk}
    try:
        _make(claims.open_work(derived))
    except (StoreUnavailable, ShelfProblem, OSError) as problem:
        logger.warning("A derived version waits: %s", problem, extra=details)
        claims.put_off(derived, str(problem))
    except (Refused, RegistryError) as refusal:
        logger.info("A derived version was refused: %s", refusal, extra=details)
        claims.refuse(derived, str(refusal))


def _make(claimed: Work) -> None:
    derived = claimed.derived
    with work_folders.folder("derive") as folder:
        for number, revision in enumerate(claimed.revisions):
            (folder / str(number)).mkdir()
            pull.copy_files(revision, folder / str(number))
        target = folder / "to"
        target.mkdir()
        (folder / "request.json").write_text(json.dumps(_request(claimed), default=str))
        answer = _answer(folder)
        if "refused" in answer:
            raise Refused(str(answer["refused"])[:1000])
        told = _told(answer.get("facts"))
        (target / MARK).write_text(_mark(claimed, told))
        if is_merge(derived) and not (target / "README.md").exists():
            (target / "README.md").write_text(_card(claimed, target))
        claims.commit(claimed, target, told)
    verbs.hold_if_source_is_held(derived.pk)  # while it was made


def _request(claimed: Work) -> Mapping[str, object]:
    derived, source = claimed.derived, claimed.revisions[0]
    name = _base_name(source)
    base = bases.find_base(name) if name else None
    if derived.method in NEEDS_BASE and base is None:
        raise Refused(f"{derived.method} needs the base {name or ''} in this hub's base cache.".replace("  ", " "))
    return {
        "to": derived.method,
        "recipe": {"method": derived.method, **derived.options} if is_merge(derived) else None,
        "sources": [
            {
                "name": row.name if is_named else f"source {number}",
                "weight": row.weight,
                "labels": _card_of(revision).get("label_names") if is_merge(derived) else None,
            }
            for number, ((row, is_named), revision) in enumerate(
                zip(claimed.sources, claimed.revisions, strict=True), 1
            )
        ],
        "asked": {} if is_merge(derived) else derived.options,
        "card": {key: value for key, value in _card_of(source).items() if key in CARD_KEYS},
        "base_name": name,
        "base": str(_weights_of(base)) if base and derived.method in ("slim", "peft-lora") else "",
        "base_config": base.config if base and derived.method == "gguf" else None,
    }


def _base_name(revision: Revision) -> str:
    described = stored_facts.revision_facts(revision, pull.entries(revision))
    stated = described.description.base if described.description else ""
    return str(stated or next(iter(described.bases), ""))


def _weights_of(base: Base) -> Path:
    if not base.has_weights:
        raise Refused(f"This hub knows only the config of {base.id}, so nothing can be compared with its weights.")
    return base_folders.path(base)


def _answer(folder: Path) -> Mapping[str, object]:
    """Run the jailed process and return what it answered, which strangers' bytes may have written."""
    python = str(capabilities.interpreter(capabilities.built()[0]))  # of any engine: numpy, torch and PEFT
    with (folder / "answer").open("w+b") as stdout, (folder / "words").open("w+b") as stderr:
        with sessions.program([python, "-I", str(SCRIPT), str(folder)], folder / "to", stdout, stderr) as program:
            way = program.wait(WALL_SECONDS)
        if way is None:
            raise TimeoutError(f"It took more than {WALL_SECONDS} s.")
        stdout.seek(0)
        stderr.seek(0)
        raw, words = stdout.read(MAX_ANSWER), stderr.read(MAX_ANSWER).decode(errors="replace")
    if way != sessions.WELL:
        logger.warning("The process that derives ended %s: %s", way, words[-500:])
        raise Refused("The conversion ended early: it reached a limit of time, memory or size.")
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not {"facts", "refused"} & answer.keys():
        raise Refused("The conversion gave no answer.")
    return answer


def _told(facts_of_result: object) -> Mapping[str, object]:
    """Return the facts with known keys and types alone."""
    told = facts_of_result if isinstance(facts_of_result, dict) else {}
    kinds = {"lossless": bool, "largest_error": float, "largest_value": float, "tensor": str, "lost": float}
    return {key: told[key] for key, kind in kinds.items() if type(told.get(key)) is kind and len(str(told[key])) < 300}


def _mark(claimed: Work, told: Mapping[str, object]) -> str:
    derived = claimed.derived
    sources: list[Mapping[str, object]] = [
        {"adapter": row.name if is_named else None, "revision": row.oid if is_named else None}
        | ({"weight": row.weight} if is_merge(derived) else {})
        for row, is_named in claimed.sources
    ]
    mark = {"method": derived.method, "options": derived.options, "derived_from": sources, **told}
    return json.dumps(mark, indent=2, sort_keys=True) + "\n"


def _card(claimed: Work, target: Path) -> str:
    """Return a card for a merge: its base, and what it was merged of."""
    with (target / configs.NAME).open("rb") as file:
        base = configs.text(configs.read(file), "base_model_name_or_path") or ""
    licenses = {_license(revision) for revision in claimed.revisions}
    stated = [f"license: {json.dumps(licenses.pop())}"] if len(licenses) == 1 and "" not in licenses else []
    head = ["---", f"base_model: {json.dumps(base)}", "library_name: peft", "tags: [merge]", *stated, "---"]
    names = [(f"`{row}`" if is_named else claims.UNNAMED, row.weight) for row, is_named in claimed.sources]
    rows = [f"- {name}, weight {weight:g}" for name, weight in names]
    return "\n".join([*head, "", f"# Merge by {claimed.derived.method}", "", "Merged of:", "", *rows, ""])


def _card_of(revision: Revision) -> Mapping[str, Any]:
    return stored_facts.revision_facts(revision, pull.entries(revision)).card.data


def _license(revision: Revision) -> str:
    return str(stored_facts.revision_facts(revision, pull.entries(revision)).card.license)
