"""Domain objects as the Hub's JSON: exact keys, without queries."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from registry.kernel import seams
from registry.kernel.policy import Caller
from registry.kernel.texts import cursors
from registry.models import Ref, Repository, Revision
from registry.repos import download_counts, manifest
from registry.repos.contents.card import Card
from registry.repos.contents.facts import Facts
from registry.repos.derived import DerivedEntry
from registry.repos.manifest import Entry

JSON = dict[str, Any]
PEFT_KEYS = ("base_model_name_or_path", "peft_type", "task_type")
ADAPTERS_KEYS = ("model_name", "model_type", "model_class", "name", "config")
PARAMETERS = frozenset({"self", "ignore_metadata_errors"})  # of the clients' own parsers of cards
PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}


def moment(at: datetime) -> str:
    """Return the one form of time that clients parse: milliseconds and Z."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def page_of(repository: Repository, origin: str) -> str:
    """Return the address of the repository's page, which clients parse for its id."""
    return urljoin(origin, repository.get_absolute_url())


def whoami(caller: Caller, orgs: Iterable[JSON]) -> JSON:
    """The answer to whoami-v2; a fine-grained token does not give the e-mail address away."""
    user = caller.user
    assert user is not None, "whoami is only for people"
    token = caller.token
    return {
        "type": "user",
        "id": cursors.format_hub_id(user.pk),
        "name": user.username,
        "fullname": user.full_name or user.username,
        "email": "" if caller.is_fine_grained else user.email,
        "emailVerified": True,
        "isPro": False,
        "avatarUrl": "",
        "orgs": list(orgs),
        "auth": {
            "type": "access_token" if token else "session",
            **({"accessToken": {"displayName": token.name, "role": _token_role(token.role)}} if token else {}),
        },
    }


def _token_role(role: str) -> str:
    return {"fine-grained": "fineGrained"}.get(role, role)


def file_entry(entry: Entry) -> JSON:
    """A file in a tree listing: `oid` is the git blob's sha1, for LFS files the pointer's."""
    fields: JSON = {"type": "file", "oid": entry.git_oid, "size": entry.size, "path": entry.path}
    if entry.is_lfs:
        fields["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": _pointer_size(entry)}
    return fields | _derived(entry)


def folder_entry(path: str, oid: str) -> JSON:
    """A folder in a tree listing."""
    return {"type": "directory", "oid": oid, "size": 0, "path": path}


def _pointer_size(entry: Entry) -> int:
    return len(manifest.pointer(entry.sha256, entry.size))


def last_commit(revision: Revision) -> JSON:
    """Beside a tree entry when a client asks to expand it."""
    return {"id": revision.oid, "title": revision.title, "date": moment(revision.created_at)}


UNUSED: JSON = {"current": None, "requested": None}  # what 0.36 reads without a look whether it is there
UNSCANNED: JSON = {"status": "unscanned", "avScan": None, "pickleImportScan": None}


def sibling(entry: Entry, with_blobs: bool) -> JSON:
    """A file in a model's info; the digest of an LFS file is called sha256 here, and oid in trees."""
    fields: JSON = {"rfilename": entry.path}
    if with_blobs:
        fields |= {"size": entry.size, "blobId": entry.git_oid}
    if with_blobs and entry.is_lfs:
        fields["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": _pointer_size(entry)}
    return fields | _derived(entry)


def _derived(entry: Entry) -> JSON:
    """The file of the revision that the hub made this one of; clients that do not know the key ignore it."""
    return {"derived": {"from": entry.source}} if isinstance(entry, DerivedEntry) else {}


def summary(repository: Repository) -> JSON:
    """A repository in a list, from its row alone."""
    return {
        "_id": cursors.format_hub_id(repository.pk),
        "id": repository.full_name,
        **({"modelId": repository.full_name} if repository.type == "model" else {}),
        "author": repository.namespace.name,
        "private": repository.private,
        "gated": repository.gated or False,
        "disabled": repository.is_quarantined,
        "likes": repository.likes,
        "downloads": repository.downloads,
        "downloadsAllTime": repository.downloads,
        "trendingScore": download_counts.trending_score(repository),
        "tags": repository.tags,
        **({"pipeline_tag": repository.task} if repository.task else {}),
        "createdAt": moment(repository.created_at),
        "lastModified": moment(repository.updated_at),
    }


def info(
    repository: Repository,
    revision: Revision,
    entries: dict[str, Entry],
    artifacts: dict[str, DerivedEntry],
    facts: Facts,
    with_blobs: bool,
) -> JSON:
    """Everything about a repository at a revision; `artifacts` are the files derived from those in it."""
    fields = summary(repository) | {
        "sha": revision.oid,
        "lastModified": moment(revision.created_at),
        "siblings": [sibling(entry, with_blobs) for _, entry in sorted({**entries, **artifacts}.items())],
        "cardData": card(facts.card),
        "tags": facts.tags,
        "usedStorage": sum({entry.sha256: entry.size for entry in entries.values()}.values()),
        "xetEnabled": seams.has_xet(),
    }
    if repository.type == "model":
        bases = [{"id": base} for base in facts.bases]
        fields |= {"spaces": [], "widgetData": facts.card.data.get("widget", [])} | _of_a_model(facts)
        fields |= {"baseModels": {"relation": "adapter", "models": bases}} if bases else {}
    if repository.type == "space":
        fields |= _of_a_space(facts)
    return fields


def card(stated: Card) -> JSON:
    """Return a card's data without values that make the Hub's clients fail: one such card would break a whole list."""
    data: JSON = {key: value for key, value in stated.data.items() if key not in PARAMETERS}
    if not isinstance(data.get("tags", []), list | str | None):
        data["tags"] = stated.tags
    if not all(_is_source(result.get("source")) for result in _results(data.get("model-index"))):
        del data["model-index"]
    return data


def _results(index: object) -> Iterator[JSON]:
    for model in index if isinstance(index, list) else ():
        results = model.get("results") if isinstance(model, dict) else None
        yield from (one for one in results if isinstance(one, dict)) if isinstance(results, list) else ()


def _is_source(source: object) -> bool:
    return not source or (isinstance(source, dict) and (source.get("name") is None or source.get("url") is not None))


def _of_a_space(facts: Facts) -> JSON:
    links = {key: facts.card.data[key] for key in ("sdk", "models", "datasets") if key in facts.card.data}
    return links | {"runtime": {"stage": "STOPPED", "hardware": UNUSED}}  # nothing is run here


def _of_a_model(facts: Facts) -> JSON:
    fields: JSON = {"config": config(facts)}
    if facts.library:
        fields["library_name"] = facts.library
    if facts.task:
        fields["pipeline_tag"] = facts.task
    if facts.parameters:
        fields["safetensors"] = {"parameters": facts.parameters, "total": facts.parameter_count}
    if "model-index" in facts.card.data:
        fields["model-index"] = facts.card.data["model-index"]
    return fields


def config(facts: Facts) -> JSON:
    """The digest of adapter_config.json. The `adapters` library reads its part under both of its names."""
    ours = facts.config
    if "peft_type" in ours:
        return {"peft": {key: ours[key] for key in PEFT_KEYS if ours.get(key) is not None}}
    if "model_name" in ours:
        part = {key: ours[key] for key in ADAPTERS_KEYS if key in ours}
        return {"adapters": part, "adapter_transformers": part}
    return {}


def commit(revision: Revision) -> JSON:
    """A revision in a history."""
    return {
        "id": revision.oid,
        "title": revision.title,
        "message": revision.message,
        "authors": [{"user": revision.author.username}],
        "date": moment(revision.created_at),
    }


def ref(ref: Ref, name: str) -> JSON:
    """A branch, tag, alias or pull request in a list of refs."""
    return {"name": name, "ref": ref.name, "targetCommit": ref.revision.oid}
