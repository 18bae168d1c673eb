"""Repositories as the Hub's clients read them: one with its files, lists, and the tags in use."""

import re
from dataclasses import replace

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse

from hub.answers import answer, mark_yanked
from hub.hf import bodies, shapes
from hub.hf.dialect import Route
from hub.hf.shapes import JSON
from registry.kernel import refusals
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Base, Repository
from registry.repos import bases, derived, pull, refs
from registry.repos.contents import facts, stored_facts
from registry.repos.lists import catalog, tallies

_OF_MODELS = """
    author baseModels cardData childrenModelCount config createdAt disabled downloads downloadsAllTime evalResults
        gated gguf inference inferenceProviderMapping lastModified library_name likes mask_token model-index
        pipeline_tag private resourceGroup safetensors sha siblings spaces tags transformersInfo trendingScore
    usedStorage widgetData
"""
_OF_DATASETS = """
    author cardData citation createdAt description disabled downloads downloadsAllTime gated lastModified likes
    mainSize paperswithcode_id private resourceGroup sha siblings tags trendingScore usedStorage
"""
_OF_SPACES = """
    author cardData createdAt datasets disabled lastModified likes models private region resourceGroup runtime sdk sha
    siblings subdomain tags trendingScore usedStorage
"""
_FORMER = {"xetEnabled"}  # 0.36 asks for it before it uploads a large folder; releases after it teach it no more
EXPANDABLE = {"model": _OF_MODELS.split(), "dataset": _OF_DATASETS.split(), "space": _OF_SPACES.split()}
TAGS_SECONDS, MOST_TAGS = 50, 5000  # what is held back is in no answer after a minute
FULL_PAGE = 25  # repositories whose files are all named
SORTS = {
    "lastModified": "updated",
    "last_modified": "updated",
    "createdAt": "created",
    "created_at": "created",
    "downloads": "downloads",
    "likes": "likes",
    "trendingScore": "trending",
    "trending_score": "trending",
}
DETAILS = {"full", "config", "fetch_config", "cardData", "linked"}
_ROW = "author createdAt disabled downloads downloadsAllTime gated lastModified likes private sha tags trendingScore"
# The keys of a model without `expand`: `hf models ls` prints a column for each, in 80 characters.
LEAN = ["modelId", "likes", "trendingScore", "private", "downloads", "tags", "pipeline_tag", "createdAt"]
FROM_THE_ROW = frozenset(_ROW.split())  # what a list has without reading a file
_BOUND = re.compile(r"(min|max):(\d{1,9}(?:\.\d{1,9})?)([KMBT]?)", re.IGNORECASE)
_MANY = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
ALIASES = {"adapters": "adapter-transformers"}


class Info(Route):
    """GET /api/models/{id}[/revision/{rev}]"""

    base_methods = ("GET", "HEAD")

    def get(self, request: HttpRequest, ns: str, name: str, rev: str = "main") -> HttpResponse:
        fields = expansions(request, self.type)  # before the repository: clients learn the words from the refusal
        repository = self.repository(ns, name)
        revision = pull.resolve_pulled(repository, rev, self.viewer)
        pull.require_shown(revision, self.caller)
        with_blobs, entries = bodies.truth(request.GET.get("blobs")), pull.entries(revision)
        described = stored_facts.available_facts({revision: entries})[revision]
        item = shapes.info(repository, revision, entries, derived.derived_entries(entries), described, with_blobs)
        if (refusal := pull.unserved(revision, self.caller)) is not None:
            item["unserved"] = refusal.detail
        count_children([item], fields, self.caller)
        if bodies.truth(request.GET.get("securityStatus")):
            item["securityRepoStatus"] = {"scansDone": False, "filesWithIssues": []}
        return mark_yanked(answer(only(item, fields)), revision)

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponse:
        bases.check_revision(base, where.get("rev", "main"))
        fields = expansions(request, self.type)
        item = bodies.base_info(request, base)
        count_children([item], fields, self.caller)
        return answer(only(item, fields))

    def delete(self, request: HttpRequest, ns: str, name: str, rev: str = "main") -> HttpResponse:
        """Answer DELETE …/like for an id without a namespace."""
        if name == "like":
            raise refusals.repository_not_found(ns)
        return self.http_method_not_allowed(request)


class List(Route):
    """GET /api/models"""

    def get(self, request: HttpRequest) -> HttpResponse:
        fields = expansions(request, self.type)
        if request.GET.get("inference") or request.GET.get("inference_provider"):
            return answer([])  # no provider runs what is here
        asked = {key for key, value in request.GET.items() if bodies.truth(value)}
        is_full = bool(asked & DETAILS or set(fields) - FROM_THE_ROW)
        most = FULL_PAGE if is_full else catalog.MAX_PAGE
        limit = bodies.whole_in(request.GET, "limit", most, most)
        cursor = request.GET.get("cursor", "")
        query = replace(_query(request, self.type), only_verified=self.viewer.only_verified)
        page = catalog.search(self.caller, query, cursor=cursor, limit=limit, with_verdicts=False)
        keys = fields or (LEAN if self.type == "model" and not is_full else [])
        items = _shown(page.items, is_full, with_heads=not keys or "sha" in keys, viewer=self.viewer)
        count_children(items, fields, self.caller)
        response = answer([only(item, keys) for item in items])
        if page.next:
            response["Link"] = bodies.next_page(request, cursor=page.next, limit=str(limit))
        return response


class TagsByType(Route):
    """GET /api/models-tags-by-type and /api/datasets-tags-by-type: what `filter` can be, of what everybody may see"""

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer(caches["default"].get_or_set(f"tags:{self.type}", lambda: _by_type(self.type), TAGS_SECONDS))


def _by_type(type: str) -> dict[str, list[JSON]]:
    listed: dict[str, list[JSON]] = {kind: [] for kind in facts.KINDS}
    for tag, _ in catalog.count_tags(type).most_common(MOST_TAGS):
        kind = facts.kind_of(tag)
        listed[kind].append({"id": tag, "label": tag.partition(":")[2] or tag, "type": kind})
    return listed


def expansions(request: HttpRequest, type: str) -> list[str]:
    """Return the fields a client asks for by `expand`. Raises ValueInvalid with the words that exist."""
    fields = request.GET.getlist("expand") + request.GET.getlist("expand[]")
    if unknown := [word for word in fields if word not in EXPANDABLE[type] and word not in _FORMER]:
        words = "|".join(f'"{word}"' for word in EXPANDABLE[type])
        raise ValueInvalid(f'Cannot expand "{unknown[0][:40]}": expected one of {words}', fix="Use one of these.")
    return fields


def count_children(items: list[JSON], fields: list[str], by: Caller) -> None:
    """Add how many models have each of these as their base, where somebody asks for it."""
    if "childrenModelCount" in fields:
        counts = tallies.count_by_base(by, (item["id"] for item in items))
        for item in items:
            item["childrenModelCount"] = counts.get(item["id"], 0)


def only(item: JSON, fields: list[str]) -> JSON:
    """Return an object with the asked-for fields alone, if any were asked for."""
    if not fields:
        return item
    return {key: item[key] for key in ("_id", "id", *fields) if key in item}


def _query(request: HttpRequest, type: str) -> catalog.Query:
    many = request.GET.getlist
    filters = [tag.strip() for value in many("filter") for tag in value.split(",") if tag.strip()]
    filters += [*many("pipeline_tag"), *many("library"), *many("language")]
    fewest, most = _parameters(request.GET.get("num_parameters", ""))
    return catalog.Query(
        engine=[word.lower() for word in many("apps")],  # what an app means to the Hub, a serving engine means here
        parameters_min=fewest,
        parameters_max=most,
        id_words=[word for value in many("search") for word in value.split()],
        author=many("author"),
        all_tags=[ALIASES.get(tag, tag) for tag in filters],
        gated=bodies.truth(request.GET["gated"]) if request.GET.get("gated") else None,
        type=type,
        sort=_sort(request.GET.get("sort") or "lastModified"),
        ascending=request.GET.get("direction") == "1",
    )


def _parameters(value: str) -> tuple[int | None, int | None]:
    """Read min:6B,max:128B, either of them. Raises ValueInvalid."""
    bounds: dict[str, int] = {}
    for part in filter(None, value.split(",")):
        match = _BOUND.fullmatch(part.strip())
        if match is None:
            raise ValueInvalid(f"Cannot read num_parameters {value[:60]!r}.", fix="Write it as min:6B,max:128B.")
        bounds[match[1].lower()] = round(float(match[2]) * _MANY[match[3].upper()])
    return bounds.get("min"), bounds.get("max")


def _sort(word: str) -> str:
    if word not in SORTS:
        words = "|".join(f'"{one}"' for one in SORTS)
        raise ValueInvalid(f'Cannot sort by "{word[:40]}": expected one of {words}', fix="Use one of these.")
    return SORTS[word]


def _shown(adapters: list[Repository], is_full: bool, with_heads: bool, viewer: refs.Viewer) -> list[JSON]:
    """Return the items of a page; at most four queries, however many there are."""
    if not is_full and not with_heads:
        return [shapes.summary(repository) for repository in adapters]
    heads = refs.main_revisions(adapters, viewer)
    if not is_full:
        return [shapes.summary(repository) | {"sha": heads[repository.pk].oid} for repository in adapters]
    trees = pull.entries_of(head for head in heads.values() if not head.is_quarantined)
    artifacts = derived.derived_entries_of(trees)
    known = stored_facts.available_facts({head: trees.get(head.pk, {}) for head in heads.values()})
    rows = ((repository, heads[repository.pk], heads[repository.pk].pk) for repository in adapters)
    return [
        shapes.info(repository, head, trees.get(row, {}), artifacts.get(row, {}), known[head], with_blobs=False)
        for repository, head, row in rows
    ]
