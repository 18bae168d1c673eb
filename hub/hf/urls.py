"""The wire table: every Hub route we speak, those we know and refuse with a sentence, and the rest below /api/."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views import View

from hub.hf import account, lists, pull, push, repos
from hub.hf.dialect import NoNamespace, Unknown, Unserved

app_name = "hf"  # names of routes begin with it: hf:resolve


def speak(route: str, view: type[View], url_name: str = "", **given: str) -> URLPattern:
    """One route we serve."""
    return path(route, view.as_view(), given, name=url_name or None)


def refuse(pattern: str, sentence: str) -> URLPattern:
    """Routes we know and do not serve (yet)."""
    return re_path(rf"^{pattern}", Unserved.as_view(sentence=sentence))


def of_a_kind(kind: str, type: str) -> list[URLPattern | URLResolver]:
    """The routes of repositories of one kind below /api/: the list of them, and what one of them has."""
    return [
        speak(kind, lists.List, "repositories", type=type),
        path(f"{kind}/<str:ns>/<str:name>", include(OF_A_REPOSITORY), {"type": type}),
    ]


OF_A_REPOSITORY = [
    speak("", lists.Info, "repository"),
    speak("/revision/<path:rev>", lists.Info, "revision"),
    speak("/auth-check", repos.AuthCheck, "auth-check"),
    speak("/auth-check/write", repos.WriteCheck, "write-check"),
    speak("/settings", repos.Settings, "repository-settings"),
    speak("/preupload/<path:rev>", push.Preupload, "preupload"),
    speak("/commit/<path:rev>", push.Commit, "commit"),
    speak("/tree/<path:tail>", pull.Tree, "tree"),
    speak("/paths-info/<path:rev>", pull.PathsInfo, "paths-info"),
    speak("/safetensors-metadata/<path:path>", pull.Headers, "safetensors-metadata"),
    speak("/refs", repos.Refs, "refs"),
    speak("/commits/<path:rev>", repos.Commits, "commits"),
    speak("/branch/<path:rev>", repos.Branch, "branch"),
    speak("/tag/<path:rev>", repos.Tag, "tag"),
    speak("/user-access-request/handle", account.Handle, "handle-access-request"),
    speak("/user-access-request/grant", account.Grant, "grant-access"),
    speak("/user-access-request/<str:status>", account.Requests, "access-requests"),
    speak("/duplicate", repos.Duplicate, "duplicate"),
    speak("/super-squash/<path:rev>", repos.SuperSquash, "super-squash"),
    speak("/lfs-files", repos.LargeFiles, "large-files"),
    speak("/lfs-files/batch", repos.DropLargeFiles, "drop-large-files"),
    speak("/lfs-files/duplicate", repos.ShareFiles, "share-files"),
    speak("/lfs-files/<str:sha256>", repos.OneLargeFile, "large-file"),
]
OF_ITS_FILES = [  # at the addresses of its pages
    speak("<str:ns>/<str:name>/resolve/<path:tail>", pull.Resolve, "resolve"),
    speak("<str:ns>/<str:name>/raw/<path:tail>", pull.Resolve, "raw"),
    speak("<str:ns>/<str:name>.git/info/lfs/objects/batch", push.Batch, "lfs-batch"),
]

PARTS = "revision|auth-check|settings|preupload|commit|tree|paths-info|refs|commits|branch|tag|discussions|like"
ID = r"(models|datasets|spaces)/[^/]+/[^/]+"
RUNNING = (
    "runtime|hardware|secrets|variables|sleeptime|storage|restart|pause|logs|dev-mode|volumes|sse|hot-reload|events"
)
SPACES_REST = "Spaces are kept here as files; nothing of them is run."
NOT_KEPT = [  # below /api/ and beside it
    refuse(r"(daily_papers|papers)(/|$)", "This hub keeps no papers."),
    refuse(r"(kernels|jobs|buckets|scheduled-jobs)(/|$)", "This hub keeps models, datasets and spaces only."),
]
GIT = "This hub does not speak git itself: bring a repository with `hf download`, and push to it with `hf upload`."
NO_XET = "This hub does not speak Xet: set HF_HUB_DISABLE_XET=1, and files travel by Git LFS."
UNSERVED = [
    refuse(rf"{ID}/discussions/", "This hub has no such part of discussions."),
    refuse(rf"{ID}/resource-group(/|$)", "This hub has no resource groups."),
    refuse(r"collections/.+/resource-group$", "This hub has no resource groups."),
    refuse(r"repos/duplicate$", "A repository is duplicated at its own address, /api/models/{id}/duplicate."),
    refuse(r"(settings|users|organizations)/", "Accounts are kept on the website: see /settings."),
    refuse(r"datasets/[^/]+/[^/]+/leaderboard$", "This hub ranks no models by datasets; see the verdicts of each."),
    refuse(r"spaces/(hardware|templates|semantic-search)$", SPACES_REST),
    refuse(rf"spaces/[^/]+/[^/]+/({RUNNING})(/|$)", SPACES_REST),
    refuse(r"tasks(/|$)", "This hub recommends no models for tasks: filter the list of models by one."),
    *NOT_KEPT,
]
UNSERVED_ELSEWHERE = [
    re_path(r"^(?:(?:datasets|spaces)/)?[^/]+/[^/]+/info/refs$", repos.NoGit.as_view(sentence=GIT)),
    refuse(r"uploads$", "Pictures are not kept beside discussions: push them to a repository, and link to them."),
]

OF_PEOPLE = [
    speak("organizations/<str:name>/members", account.Members, "members"),
    speak(
        "organizations/<str:name>/settings/repositories", account.OrganizationRepositories, "organization-repositories"
    ),
    speak("settings/repositories", account.Repositories, "own-repositories"),
]

BELOW_API = [
    *of_a_kind("models", "model"),
    *of_a_kind("datasets", "dataset"),
    refuse(r"spaces/zero-gpu/quota$", SPACES_REST),  # looks like a space's own address
    *of_a_kind("spaces", "space"),
    speak("whoami-v2", account.WhoAmI, "whoami"),
    speak("credentials/revoke", account.RevokeFound, "revoke-credentials"),
    speak("agent-harnesses", account.AgentHarnesses, "agent-harnesses"),
    speak("telemetry/<path:topic>", account.Telemetry, "telemetry"),
    speak("validate-yaml", push.ValidateYaml, "validate-yaml"),
    speak("repos/create", repos.Create, "create-repository"),
    speak("repos/delete", repos.Delete, "delete-repository"),
    speak("repos/move", repos.Move, "move-repository"),
    speak("models-tags-by-type", lists.TagsByType, "models-tags-by-type"),
    speak("datasets-tags-by-type", lists.TagsByType, "datasets-tags-by-type", type="dataset"),
    *OF_PEOPLE,
    speak("lfs/uploads", push.Upload, "lfs-upload"),
    speak("lfs/uploads/verify", push.Verify, "lfs-verify"),
    speak("lfs/uploads/parts/<int:number>", push.Part, "lfs-part"),
    speak("lfs/uploads/complete", push.Complete, "lfs-complete"),
    speak("lfs/downloads", push.Download, "lfs-download"),
    *UNSERVED,
    refuse(rf"{ID}/xet-(read|write)-token/", NO_XET),  # where no feature speaks it
    re_path(rf"^(?:models|datasets|spaces)/(?P<name>[^/]+)(?:/(?:{PARTS})(?P<rest>/.*)?)?$", NoNamespace.as_view()),
    re_path(r"^(?!v1/)", Unknown.as_view()),
]

# Nested, because every pattern before the one that matches is tried: bytes are asked for most, and pass seven.
urlpatterns = [
    path("api/", include(BELOW_API)),
    *NOT_KEPT,
    path("datasets/", include(OF_ITS_FILES), {"type": "dataset"}),
    path("spaces/", include(OF_ITS_FILES), {"type": "space"}),
    path("", include(OF_ITS_FILES), {"type": "model"}),
    speak("oauth/token", account.Token, "oauth-token"),
    speak("<str:name>/resolve/<path:rest>", NoNamespace),
    *UNSERVED_ELSEWHERE,
]
