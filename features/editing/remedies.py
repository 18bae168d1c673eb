"""The mechanical remedies of checks, one for each check id that has one, and what files they change.

A remedy sets what the files themselves, or the hub, say; what only the author knows has none. All that one page fixes
at once is composed by `compose`.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from io import BytesIO

import yaml

from dovetail.adapters import checks
from dovetail.adapters.checks.base import ADDRESS, FIELD
from dovetail.adapters.checks.fit import ranked_sides
from dovetail.adapters.convert.mend import SHARD, Mended
from dovetail.adapters.convert.redact import Redacted, Rewritten, redact
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.config import wrong_fields
from dovetail.adapters.files.header import HeaderError, Opener
from dovetail.adapters.files.patterns import PatternError
from dovetail.adapters.files.pickle_interpreter import Refused
from dovetail.adapters.formats import twins
from dovetail.adapters.formats.description import PICKLED_WEIGHTS, WEIGHTS
from dovetail.adapters.methods import HEADS, TASKS, task_of
from dovetail.adapters.methods.kind import rules_of_peft
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import some
from dovetail.adapters.results.report import CheckResult
from dovetail.adapters.shapes.selection import Selection
from features.editing import config_views, weights
from registry.kernel.errors import StoreUnavailable, ValueInvalid
from registry.kernel.texts.plain_yaml import Value
from registry.proof import fit
from registry.repos import bases
from registry.repos.contents import facts
from registry.repos.contents.card import MAX_CARD_BYTES, Card, parse_card
from registry.repos.contents.facts import README
from registry.repos.manifest import Entry

GONE = object()  # the value of a key that is taken out
UNREADABLE = (configs.ConfigError, HeaderError, Refused, PatternError, ValueInvalid, StoreUnavailable, KeyError)
LOUD = ("failed", "warned")
OF_PEFT = ("config.", "tensors.", "base.", "fit.")
_FRONT = re.compile(r"\A\ufeff?\s*---[ \t]*\r?\n")
TASK_WORDS = {
    **dict.fromkeys(("seqcls", "sequenceclassification", "textclassification"), "SEQ_CLS"),
    **dict.fromkeys(("tokencls", "tokenclassification", "ner"), "TOKEN_CLS"),
    **dict.fromkeys(("questionans", "questionanswering", "qa"), "QUESTION_ANS"),
    **dict.fromkeys(("causallm", "textgeneration", "clm"), "CAUSAL_LM"),
    **dict.fromkeys(("seq2seqlm", "text2textgeneration", "seq2seq"), "SEQ_2_SEQ_LM"),
    **dict.fromkeys(("featureextraction", "embedding", "sentencesimilarity"), "FEATURE_EXTRACTION"),
}


@dataclass(frozen=True)
class Remedy:
    """The remedy of one check: keys of the config and of the card, files to take out, or rewritten weights."""

    deed: str  # in the imperative, without an end
    config: Mapping[str, object] = field(default_factory=dict)
    card: Mapping[str, Value] = field(default_factory=dict)
    removed: Collection[str] = ()
    weights: Mended | None = None
    redacts: bool = False


@dataclass
class Case:
    """The files of an adapter, and a check that they failed or that warned of them."""

    entries: Mapping[str, Entry]
    check: CheckResult
    openers: Mapping[str, Opener] | None = None  # in place of those of the entries

    @cached_property
    def files(self) -> Mapping[str, Opener]:
        return facts.file_openers(self.entries) if self.openers is None else self.openers

    @cached_property
    def card(self) -> Card:
        try:
            return parse_card(_text(self.files, README))
        except ValueInvalid:
            return Card()

    @cached_property
    def folder(self) -> Folder:
        return checks.opened(self.files, self.card.data)

    @property
    def config(self) -> configs.Config:
        return self.folder.config

    @property
    def named(self) -> list[str]:
        """The names in the finding: keys, files or modules."""
        return [str(name) for key in ("keys", "files", "modules") for name in self._where(key)]

    def _where(self, key: str) -> list[object]:
        found = self.check.where.get(key)
        return list(found) if isinstance(found, list | tuple) else []


def find(case: Case) -> Remedy | None:
    """Return the remedy of the check; None if it has none, or if the check would say the same after it."""
    work = REMEDIES.get(case.check.id)
    if work is None or case.check.outcome not in LOUD or case.check.where.get("path"):
        return None  # `path` is the folder of another adapter than the one at the top
    try:
        is_of_peft = type(case.folder) is Folder  # other formats have configs of another form
        if case.check.id.startswith(OF_PEFT) and not (is_of_peft and case.folder.kind):
            return None
        remedy = work(case)
        return remedy if remedy and _is_mended(case, remedy) else None
    except UNREADABLE:
        return None


def _is_mended(case: Case, remedy: Remedy) -> bool:
    """Ask the check again of changed keys; weights are compared with the base where they are made."""
    if not (remedy.config or remedy.card):
        return True
    after = checks.opened(_overlay(case.files, change_texts(case.files, remedy.config, remedy.card)), None)
    after.card = {**case.card.data, **remedy.card}
    check = next((one for one in checks.checks_of(after) if one.id == case.check.id), None)
    answer = check.ask(after) if check else ""
    return isinstance(answer, str) or answer.outcome not in LOUD or (case.check.outcome, answer.outcome) == LOUD


# --- config ----------------------------------------------------------------------------------------------------------
def _set(changes: Mapping[str, object]) -> Remedy | None:
    """Return the remedy that gives keys of the config these values."""
    if not changes:
        return None
    taken = [key for key, value in changes.items() if value is GONE]
    given = [f"set {key} to {_shortened(value)}" for key, value in changes.items() if value is not GONE]
    text = "; ".join([*given, *([f"take {some(taken)} out"] if taken else [])])
    return Remedy(f"{text[0].upper()}{text[1:]} in {configs.NAME}", config=changes)


def _shortened(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{len(value):,} names" if isinstance(value, list | dict) else f"{text[:80]}…"


def _invalid(case: Case) -> Remedy | None:
    """Take out what PEFT does not read; give other keys the value that is meant: 8 for "8", SEQ_CLS for seq_cls."""
    config = case.config
    wrong = wrong_fields(config, rules_of_peft(case.folder.kind))
    meant = {key: _meant(key, config.get(key)) for key in wrong}
    if meant.get("r") is GONE and (ranks := _ranks(case)):
        meant |= {"r": ranks.most_common(1)[0][0]} if len(ranks) == 1 else {}
    if GONE in meant.values():  # it decides what the adapter is, and only its author knows it
        return None
    return _set(meant or {key: GONE for key in case.named if key in config})


def _meant(key: str, value: object) -> object:
    word = str(value).strip().lower()
    if key == "task_type":
        return TASK_WORDS.get(re.sub(r"[^a-z0-9]", "", word), GONE)
    if key == "init_lora_weights":  # it is over once the adapter is trained
        return True
    if isinstance(value, str) and word.isdecimal():
        return int(word)
    return word == "true" if word in ("true", "false") else GONE


def _code(case: Case) -> Remedy | None:
    """Take out the keys that make a loader import or open something; the task that one of them told stays."""
    config, changes = case.config, dict[str, object]()
    for key in sorted({name.split(".")[0].split(" ")[0] for name in case.named} & config.keys()):
        value = config[key]
        if key == "tokenizer_kwargs" and isinstance(value, dict):
            changes[key] = {name: one for name, one in value.items() if name != "trust_remote_code"} or None
        else:
            changes[key] = GONE
    if "auto_mapping" in changes and not config.get("task_type") and task_of(config) in TASKS:
        changes["task_type"] = task_of(config)
    return _set(changes)


def _rank(case: Case) -> Remedy | None:
    kind, config, layout = case.folder.kind, case.config, case.folder.layout
    if kind is None:
        return None
    if kind.is_prompt:
        copies = configs.whole(config, "num_transformer_submodules") or 1
        rows = layout.prompt.shape[0] if layout.prompt else 0
        return _set({"num_virtual_tokens": rows // copies}) if rows and rows % copies == 0 else None
    ranks = _ranks_by_module(case)
    if not ranks or "r" not in kind.keys:
        return None
    rank = _ranks(case).most_common(1)[0][0]
    others = {module: one for module, one in ranks.items() if one != rank}
    changes: dict[str, object] = {"r": rank} if config.get("r") != rank else {}
    if "rank_pattern" in kind.tables and (others or config.get("rank_pattern")):
        changes["rank_pattern"] = others
    return _set(changes)


def _ranks_by_module(case: Case) -> dict[str, int]:
    assert case.folder.kind is not None
    return {
        module: parameters[name].shape[at]
        for module, parameters in case.folder.layout.modules.items()
        for name, (at, length) in ranked_sides(case.folder.kind).items()
        if name in parameters and len(parameters[name].shape) == length
    }


def _ranks(case: Case) -> Counter[int]:
    """Return how many modules have each rank, by their tensors."""
    return Counter(_ranks_by_module(case).values() if case.folder.kind else ())


def _pair(case: Case) -> Remedy | None:
    return _set({"use_dora": True}) if str(case.check.where.get("missing")).startswith("use_dora") else None


def _whole(case: Case) -> Remedy | None:
    """Name the modules that were trained whole in modules_to_save."""
    owners = {name.rpartition(".")[0].rpartition(".")[2] for name in case.folder.layout.base} - {"", "base_layer"}
    heads = {head for names in HEADS.values() for head in names}
    if not owners <= heads:  # any other weight of the base may have been saved by mistake
        return None
    return _set({"modules_to_save": [*configs.names(case.config, "modules_to_save"), *sorted(owners)]})


def _targets(case: Case) -> Remedy | None:
    """Select the modules that the file has tensors for, by the shortest change of target_modules."""
    config, modules = case.config, sorted(case.folder.layout.modules)
    stated = config.get("target_modules")
    narrowing = [key for key in ("layers_to_transform", "layers_pattern", "exclude_modules") if config.get(key)]
    if not modules:
        return None
    if isinstance(stated, list) and not narrowing and case.check.id != "config.pattern":
        selection = Selection(config)
        dropped = {module.rpartition(".")[2] for module in modules if not selection.picks(module)}
        kept = [name for name in stated if dropped or name not in case.named]
        return _set({"target_modules": [*kept, *sorted(dropped)]})
    return _set({"target_modules": modules, **dict.fromkeys(narrowing, GONE)})


def _pattern(case: Case) -> Remedy | None:
    named = set(case.named)
    if "target_modules" in named:
        return _targets(case)
    of_ranks = {"rank_pattern"} & named
    return _set(dict.fromkeys(sorted(of_ranks), GONE))


# --- the base --------------------------------------------------------------------------------------------------------
def _base(case: Case) -> Remedy | None:
    """Name the base that the files fit, else the one that an address or the card names."""
    config = case.config
    try:
        view = config_views.derive(case.entries, configs.NAME, "repaired").config
        return _set({key: view[key] for key in (FIELD, "revision") if view.get(key) != config.get(key)})
    except ValueInvalid:
        address = ADDRESS.match(configs.text(config, FIELD) or "")
        named = (
            [address[1]]
            if address
            else [n for n in configs.names(dict(case.card.data), "base_model") if bases.is_id(n)]
        )
    return _set({FIELD: named[0]}) if len(named) == 1 else None


def _unpinned(case: Case) -> Remedy | None:
    return _set({"revision": case.check.where["expected"]})


def _mismatch(case: Case) -> Remedy | None:
    """Let the card name the base of the config, where the card alone differs."""
    base = case.check.where.get("config")
    return Remedy(f"Name the base {base} in the card", card={"base_model": str(base)}) if base else _fit(case)


def _fit(case: Case) -> Remedy | None:
    """Rename tensors that a wrapper named, else name the one known base that the tensors fit."""
    if mended := weights.find(case.entries):
        return _mended(mended)
    survey = fit.survey_files(case.files)
    chosen = fit.preferred_base(survey, configs.names(dict(case.card.data), "base_model")) if survey else ""
    current = bases.canonical_name(configs.text(case.config, FIELD) or "")
    if not chosen or chosen.casefold() == current.casefold():
        return None
    return _set({FIELD: chosen, **({"revision": GONE} if case.config.get("revision") else {})})


# --- files and the card ----------------------------------------------------------------------------------------------
def _weights(case: Case) -> Remedy | None:
    mended = weights.find(case.entries)
    return _mended(mended) if mended else None


def _mended(mended: Mended) -> Remedy:
    return Remedy(" ".join(mended.deeds).removesuffix("."), removed=mended.removed, weights=mended)


def _pickle(case: Case) -> Remedy | None:
    """Take out a pickle, unless the weights are in it alone."""
    paths = [path for path in [str(case.check.where.get("file", "")), *case.named] if path in case.files]
    is_alone = any(_is_weights(path) and twins.safe_path(path) not in case.files for path in paths)
    return None if is_alone else _without(paths)


def _is_weights(path: str) -> bool:
    return path in (WEIGHTS, PICKLED_WEIGHTS) or twins.safe_path(path) is not None


def _ambiguous(case: Case) -> Remedy | None:
    """Take out a full model beside the adapter, and parts of which the whole weights have all tensors."""
    if case.check.outcome == "warned":
        return _without(case.named)
    whole = case.folder.header.tensors
    for path in filter(SHARD.fullmatch, case.named):
        with case.files[path]() as file:
            if not path.endswith(".safetensors") or headers.read(file).tensors.keys() - whole:
                return None
    return _without(case.named)


def _twins(case: Case) -> Remedy | None:
    return _without([str(case.check.where["file"])])


def _without(paths: Iterable[str]) -> Remedy | None:
    paths = sorted(set(paths))
    return Remedy(f"Take {some(paths)} out", removed=paths) if paths else None


def _license(case: Case) -> Remedy | None:
    name = case.folder.base_id or ""
    license = bases.license_of(bases.find_base(name), bases.canonical_name(name)) if name else ""
    return (
        Remedy(f"Set license to {license}, that of {name}, in the card", {}, {"license": license}) if license else None
    )


def _private(case: Case) -> Remedy | None:
    return Remedy("Take out what is private", redacts=True)  # whether it can be taken out is found by `compose`


def _redacted(files: Mapping[str, Opener]) -> Redacted:
    return redact(files, weights.MAX_BYTES)


REMEDIES: Mapping[str, Callable[[Case], Remedy | None]] = {
    "file.pickle": _pickle,
    "file.missing": _weights,
    "file.ambiguous": _ambiguous,
    "file.twins-differ": _twins,
    "config.invalid": _invalid,
    "config.code": _code,
    "config.fetch": _code,
    "config.pattern": _pattern,
    "config.rank": _rank,
    "tensors.unused": _weights,
    "tensors.replaces-base": _whole,
    "tensors.pair": _pair,
    "tensors.targets": _targets,
    "base.unnamed": _base,
    "base.local-path": _base,
    "base.mismatch": _mismatch,
    "base.quantised": _base,
    "base.unpinned": _unpinned,
    "fit.missing": _fit,
    "fit.unexpected": _fit,
    "fit.shape": _fit,
    "card.license": _license,
    "privacy.training-data": _private,
    "privacy.secret": _private,
}


# --- what becomes of the files ---------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Fix:
    """The remedies of several checks as one change of files: new texts, rewritten weights, and what is taken out."""

    deeds: tuple[str, ...]
    texts: Mapping[str, bytes]
    weights: Mapping[str, Mended | Rewritten]
    removed: frozenset[str]
    left: tuple[str, ...] = ()  # places of private data that must be changed by hand

    @property
    def changes(self) -> bool:
        """False where all that is private must be taken out by hand."""
        return bool(self.texts or self.weights or self.removed)

    @property
    def title(self) -> str:
        """The summary of its commit."""
        return self.deeds[0][:200] if len(self.deeds) == 1 else f"Fix {len(self.deeds)} findings of the checks"

    @property
    def words(self) -> str:
        """Return the summary of the change, for the message of its commit."""
        return "\n".join(f"- {deed}." for deed in self.deeds) if len(self.deeds) > 1 else ""


def compose(entries: Mapping[str, Entry], loud: Iterable[CheckResult]) -> Fix | None:
    """Return the change of these files that mends all of these checks that have a remedy; None if none has."""
    found = [remedy for check in loud if (remedy := find(Case(entries, check)))]
    if not found:
        return None
    files = facts.file_openers(entries)
    config = {key: value for remedy in found for key, value in remedy.config.items()}
    card = {key: value for remedy in found for key, value in remedy.card.items()}
    removed = {path for remedy in found for path in remedy.removed}
    mended = next((remedy.weights for remedy in found if remedy.weights), None)
    rewritten: dict[str, Mended | Rewritten] = {WEIGHTS: mended} if mended else {}
    texts, left = change_texts(files, config, card), list[str]()
    if any(remedy.redacts for remedy in found):
        rest = {path: opener for path, opener in _overlay(files, texts).items() if path not in removed | {*rewritten}}
        redacted = _redacted(rest)
        texts |= redacted.texts
        rewritten = {**redacted.weights, **rewritten}
        removed |= set(redacted.deleted)
        left = redacted.left
    deeds = tuple(dict.fromkeys(remedy.deed for remedy in found))
    kept = {path: raw for path, raw in texts.items() if path not in removed}
    return Fix(deeds, kept, rewritten, frozenset(removed & entries.keys()), tuple(left))


def _overlay(files: Mapping[str, Opener], texts: Mapping[str, bytes]) -> dict[str, Opener]:
    return {**files, **{path: partial(BytesIO, raw) for path, raw in texts.items()}}


def change_texts(
    files: Mapping[str, Opener], config: Mapping[str, object], card: Mapping[str, Value]
) -> dict[str, bytes]:
    texts = {}
    if config:
        before = _text(files, configs.NAME)
        with files[configs.NAME]() as file:
            after = {**configs.read(file), **config}
        kept = {key: value for key, value in after.items() if value is not GONE}
        end = "\n" if before.endswith("\n") else ""
        indent = 2 if "\n" in before.strip() else None
        texts[configs.NAME] = (json.dumps(kept, indent=indent, ensure_ascii=before.isascii()) + end).encode()
    if card:
        texts[README] = _with_front_matter(_text(files, README), card).encode()
    return texts


def _with_front_matter(readme: str, given: Mapping[str, Value]) -> str:
    """Return a card with these keys in its front matter; where they are new, every other line stays as it is."""
    card, front = parse_card(readme), _FRONT.match(readme)
    if card.problem:
        raise ValueInvalid(f"The front matter of {README} cannot be read: {card.problem}.")
    if front is None or given.keys() & card.data.keys():
        return write_card({**card.data, **given}, card.body)
    added = yaml.safe_dump(dict(given), sort_keys=False, allow_unicode=True, width=1000)
    return f"{readme[: front.end()]}{added}{readme[front.end() :]}"


def write_card(data: Mapping[str, Value], body: str) -> str:
    """Return a README with this front matter and text, as `parse_card` reads it."""
    if not data:
        return body
    front_matter = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front_matter}---\n\n{body.lstrip()}"


def _text(files: Mapping[str, Opener], path: str) -> str:
    if path not in files:
        return ""
    with files[path]() as file:
        raw = file.read(MAX_CARD_BYTES + 1)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ValueInvalid(f"{path} is not in UTF-8.") from None
    if len(raw) > MAX_CARD_BYTES:
        raise ValueInvalid(f"{path} has more than {MAX_CARD_BYTES:,} bytes.")
    return text
