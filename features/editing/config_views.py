"""Labelled views of adapter_config.json: as an older PEFT would have saved it, or with another name of its base."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dovetail.adapters.checks.base import FIELD, is_local_path
from dovetail.adapters.files import config as configs
from dovetail.adapters.formats.bases import full_precision
from dovetail.adapters.results.findings import some
from dovetail.adapters.serving.peft import downgraded
from registry.kernel.errors import ValueInvalid
from registry.proof import fit
from registry.repos import bases, derived
from registry.repos.contents import facts
from registry.repos.manifest import Entry

OLDER = re.compile(r"peft-(0\.\d{1,2})")
VIEWS = "repaired, base, or peft-0.13 and the like"


@dataclass(frozen=True)
class View:
    """A config that is not in the revision, and what was changed in it."""

    config: configs.Config
    label: str

    @property
    def text(self) -> str:
        return json.dumps(self.config, indent=2, sort_keys=True) + "\n"


def derive(entries: Mapping[str, Entry], path: str, view: str, *, base: str = "") -> View:
    """Return a view of the adapter_config.json among a revision's files; `base` chooses where several bases fit,
    and is the name to be read in the view `base`.

    Raises ValueInvalid for a view that is not known or would be another adapter.
    """
    if path != configs.NAME:
        raise ValueInvalid(f"Only {configs.NAME} has views, not {path[:200]!r}.", fix="Omit view=.")
    config = facts.read_facts(entries).config
    if not config:
        raise ValueInvalid(f"{configs.NAME} of this revision cannot be read.", fix="Push a valid JSON file.")
    if older := OLDER.fullmatch(view):
        return _older(config, older[1])
    if view == "base":
        return _renamed(config, base)
    if view != "repaired":
        raise ValueInvalid(f"Unknown view {view[:80]!r}.", fix=f"Use {VIEWS}.")
    return _repaired(entries, config, base)


def _older(config: configs.Config, version: str) -> View:
    older, lost = downgraded(config, version)
    if lost:
        raise ValueInvalid(
            f"PEFT {version} does not support {some(lost)}, and the adapter would behave differently without it.",
            fix="Use a newer PEFT; docs/serving.md lists what each version supports.",
        )
    gone = sorted(config.keys() - older.keys())
    return View(older, f"peft-{version}; without {some(gone, 40)}" if gone else f"peft-{version}; unchanged")


def _renamed(config: configs.Config, base: str) -> View:
    """The config with another name of the same base: servers compare names letter by letter."""
    current = configs.text(config, FIELD) or ""
    if not current or not base or bases.canonical_name(current).casefold() != bases.canonical_name(base).casefold():
        raise ValueInvalid(
            f"{base[:120]!r} is not another name of {current[:120]!r} here.",
            fix="Set base= to one of the names shown on the base model's page.",
        )
    return View(config | {FIELD: base}, f"base; {FIELD} = {base}, in place of {current[:120]!r}")


def _repaired(entries: Mapping[str, Entry], config: configs.Config, base: str) -> View:
    current = configs.text(config, FIELD) or ""
    chosen = _meant(entries, base) if is_baseless(config) else _other_name(current, base)
    changed: dict[str, object] = {FIELD: chosen}
    if full_precision(current) and config.get("revision"):
        changed["revision"] = None  # a commit of the quantised copy is none of the base
    return View(config | changed, f"repaired; {FIELD} = {chosen}, in place of {current[:120]!r}")


def is_baseless(config: configs.Config) -> bool:
    """Return whether only its author can tell which base this config means."""
    current = configs.text(config, FIELD) or ""
    return not current or is_local_path(current)


def _other_name(current: str, base: str) -> str:
    """The base that is meant by an old name, or by that of a quantised copy."""
    chosen = bases.canonical_name(current)
    if chosen.casefold() == current.casefold() or (base and chosen.casefold() != bases.canonical_name(base).casefold()):
        raise ValueInvalid(
            f"{configs.NAME} names the base {current[:120]}, so there is nothing to repair.", fix="Use it as it is."
        )
    return chosen


def _meant(entries: Mapping[str, Entry], base: str) -> str:
    """The base that it fits, where it fits one alone or the card or the caller says which."""
    survey = fit.survey_files(facts.file_openers({**entries, **derived.derived_entries(entries)}))
    fitting = survey.fitting if survey else []
    stated = configs.names(dict(facts.read_facts(entries).card.data), "base_model")
    if survey and (awaited := survey.awaited([base] if base else stated)):
        raise ValueInvalid(
            f"{awaited} has not been measured by this hub yet, so it is unknown whether the adapter fits it.",
            fix="Try again in a minute; the next verdict of one of its adapters measures it.",
        )
    if base:
        canonical = bases.canonical_name(base).casefold()
        chosen = next((one for one in fitting if one.casefold() == canonical), "")
    else:
        chosen = fit.preferred_base(survey, stated) if survey else ""
    if not chosen:
        outcome = f"It fits {some(fitting, 20)}" if fitting else "It fits no base that is known here"
        raise ValueInvalid(
            f"The base cannot be determined. {outcome}.",
            fix="Specify it with base=NAMESPACE/NAME, or with --base of `dovetail repair`."
            if fitting
            else f"Set {FIELD} in {configs.NAME} to its base and push; the verdict then shows what else is wrong.",
        )
    return chosen
