"""What a repository is, alone and in lists."""

from django.http import HttpRequest, HttpResponse

from hub.hf import bodies, shapes
from hub.hf.addresses import next_page
from hub.hf.dialect import Route, answer
from hub.hf.shapes import JSON
from registry import catalog, pull, refs
from registry.errors import ValueInvalid
from registry.models import Adapter, Ref
from registry.policy import missing

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
EXPANDABLE = {"model": _OF_MODELS.split(), "dataset": _OF_DATASETS.split()}
FULL_PAGE = 25  # repositories whose files are all named
SORTS = {"lastModified": "updated", "createdAt": "created", "downloads": "downloads", "likes": "likes"}
ALIASES = {"adapters": "adapter-transformers"}


class Info(Route):
    """GET /api/models/{id}[/revision/{rev}]"""

    def get(self, request: HttpRequest, ns: str, name: str, rev: str = "main") -> HttpResponse:
        wanted = expansions(request, self.type)  # before the repository: clients learn the words from the refusal
        adapter = self.adapter(ns, name)
        revision = pull.resolve(adapter, rev)
        with_blobs = bodies.truth(request.GET.get("blobs"))
        shown = shapes.info(adapter, revision, pull.entries(revision), with_blobs)
        if bodies.truth(request.GET.get("securityStatus")):
            shown["securityRepoStatus"] = {"scansDone": False, "filesWithIssues": []}
        return answer(only(shown, wanted))

    def delete(self, request: HttpRequest, ns: str, name: str, rev: str = "main") -> HttpResponse:
        """What an id without a namespace makes of DELETE …/like."""
        if name == "like":
            raise missing(ns)
        return self.http_method_not_allowed(request)


class List(Route):
    """GET /api/models"""

    def get(self, request: HttpRequest) -> HttpResponse:
        wanted = expansions(request, self.type)
        detail = {"full", "config", "cardData"} & {key for key, value in request.GET.items() if bodies.truth(value)}
        most = FULL_PAGE if detail or wanted else catalog.MAX_PAGE
        limit = bodies.whole_in(request.GET, "limit", most, most)
        cursor = request.GET.get("cursor", "")
        page = catalog.search(self.caller, _query(request, self.type), cursor=cursor, limit=limit)
        shown = [only(item, wanted) for item in _shown(page.items, bool(detail or wanted))]
        response = answer(shown)
        if page.next:
            response["Link"] = next_page(request, cursor=page.next, limit=str(limit))
        return response


class Nothing(Route):
    """GET /api/spaces: there are none, and clients that ask want a list"""

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer([])


def expansions(request: HttpRequest, type: str) -> list[str]:
    """Return the fields a client asks for by `expand`. Raises ValueInvalid with the words that exist."""
    wanted = request.GET.getlist("expand") + request.GET.getlist("expand[]")
    if unknown := [word for word in wanted if word not in EXPANDABLE[type]]:
        words = "|".join(f'"{word}"' for word in EXPANDABLE[type])
        raise ValueInvalid(f'Cannot expand "{unknown[0][:40]}": expected one of {words}', fix="Use one of these.")
    return wanted


def only(shown: JSON, wanted: list[str]) -> JSON:
    """Return an object with the asked-for fields alone, if any were asked for."""
    if not wanted:
        return shown
    return {key: shown[key] for key in ("_id", "id", *wanted) if key in shown}


def _query(request: HttpRequest, type: str) -> catalog.Query:
    many = request.GET.getlist
    tags = [tag.strip() for value in many("filter") for tag in value.split(",") if tag.strip()]
    tags += [*many("pipeline_tag"), *many("library"), *many("language"), *many("apps")]
    return catalog.Query(
        q=" ".join(many("search")),
        author=many("author"),
        all_tags=[ALIASES.get(tag, tag) for tag in tags],
        gated=bodies.truth(request.GET["gated"]) if request.GET.get("gated") else None,
        type=type,
        sort=SORTS.get(request.GET.get("sort", ""), "updated"),
    )


def _shown(adapters: list[Adapter], is_full: bool) -> list[JSON]:
    """Return the items of a page; three queries, however many there are."""
    heads = {
        ref.adapter_id: ref.revision
        for ref in Ref.objects.filter(adapter__in=adapters, name=refs.MAIN).select_related("revision")
    }
    trees = pull.entries_of(heads.values()) if is_full else {}
    shown = []
    for adapter in adapters:
        revision = heads[adapter.pk]
        if is_full:
            shown.append(shapes.info(adapter, revision, trees[revision.pk], with_blobs=False))
        else:
            shown.append(shapes.summary(adapter) | {"sha": revision.oid})
    return shown
