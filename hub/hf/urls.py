"""The wire table: every Hub route we speak, those we know and refuse with a sentence, and the rest below /api/."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views import View

from hub.hf import (
    account,
    collections,
    discussions,
    gates,
    lfs,
    likes,
    listing,
    moves,
    oauth,
    pull,
    push,
    refs,
    repos,
    users,
    webhooks,
)
from hub.hf.dialect import NoNamespace, Unknown, Unserved


def speak(route: str, view: type[View], url_name: str = "", **given: str) -> URLPattern:
    """One route we serve; pages link to those with a name."""
    return path(route, view.as_view(), given, name=url_name or None)


def refuse(pattern: str, sentence: str) -> URLPattern:
    """Routes we know and do not serve (yet)."""
    return re_path(rf"^{pattern}", Unserved.as_view(sentence=sentence))


def of_a_kind(kind: str, type: str) -> list[URLPattern | URLResolver]:
    """The routes of repositories of one kind below /api/: the list of them, and what one of them has."""
    return [
        speak(kind, listing.List, type=type),
        path(f"{kind}/<str:ns>/<str:name>", include(OF_A_REPOSITORY), {"type": type}),
    ]


OF_A_REPOSITORY = [
    speak("", listing.Info),
    speak("/revision/<path:rev>", listing.Info),
    speak("/auth-check", repos.AuthCheck),
    speak("/auth-check/write", repos.WriteCheck),
    speak("/settings", repos.Settings),
    speak("/preupload/<path:rev>", push.Preupload),
    speak("/commit/<path:rev>", push.Commit),
    speak("/tree/<path:tail>", pull.Tree),
    speak("/paths-info/<path:rev>", pull.PathsInfo),
    speak("/safetensors-metadata/<path:path>", pull.Headers),
    speak("/refs", refs.Refs),
    speak("/commits/<path:rev>", refs.Commits),
    speak("/branch/<path:rev>", refs.Branch),
    speak("/tag/<path:rev>", refs.Tag),
    speak("/like", likes.OneLike),
    speak("/likers", likes.Likers),
    speak("/user-access-request/handle", gates.Handle),
    speak("/user-access-request/grant", gates.Grant),
    speak("/user-access-request/<str:status>", gates.Requests),
    speak("/duplicate", moves.Duplicate),
    speak("/super-squash/<path:rev>", moves.SuperSquash),
    speak("/lfs-files", moves.LargeFiles),
    speak("/lfs-files/batch", moves.DropLargeFiles),
    speak("/lfs-files/duplicate", moves.ShareFiles),
    speak("/lfs-files/<str:sha256>", moves.OneLargeFile),
    speak("/discussions", discussions.Discussions),
    speak("/discussions/<int:number>", discussions.OneDiscussion),
    speak("/discussions/<int:number>/comment", discussions.Comment),
    speak("/discussions/<int:number>/title", discussions.Title),
    speak("/discussions/<int:number>/status", discussions.Status),
    speak("/discussions/<int:number>/merge", discussions.Merge),
    speak("/discussions/<int:number>/comment/<str:comment>/edit", discussions.EditComment),
    speak("/discussions/<int:number>/comment/<str:comment>/hide", discussions.HideComment),
]
OF_ITS_FILES = [  # at the addresses of its pages
    speak("<str:ns>/<str:name>/resolve/<path:tail>", pull.Resolve, "resolve"),
    speak("<str:ns>/<str:name>/raw/<path:tail>", pull.Resolve),
    speak("<str:ns>/<str:name>.git/info/lfs/objects/batch", lfs.Batch),
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
    re_path(r"^(?:(?:datasets|spaces)/)?[^/]+/[^/]+/info/refs$", refs.NoGit.as_view(sentence=GIT)),
    refuse(r"uploads$", "Pictures are not kept beside discussions: push them to a repository, and link to them."),
]

OF_PEOPLE = [
    speak("users/<str:name>/overview", users.UserOverview),
    speak("users/<str:name>/followers", users.Followers),
    speak("users/<str:name>/following", users.Following),
    speak("users/<str:name>/follow", users.FollowUser),
    speak("users/<str:name>/likes", users.Likes),
    speak("organizations/<str:name>/overview", users.OrganizationOverview),
    speak("organizations/<str:name>/members", users.Members),
    speak("organizations/<str:name>/followers", users.OrganizationFollowers),
    speak("organizations/<str:name>/follow", users.FollowOrganization),
    speak("organizations/<str:name>/settings/repositories", users.OrganizationRepositories),
    speak("settings/repositories", users.Repositories),
]
COLLECTIONS = [
    speak("collections", collections.Collections),
    speak("collections/<str:ns>/<str:slug>", collections.OneCollection),
    speak("collections/<str:ns>/<str:slug>/items", collections.Items),
    speak("collections/<str:ns>/<str:slug>/items/<str:item>", collections.OneItem),
]
WEBHOOKS = [
    speak("settings/webhooks", webhooks.Webhooks),
    speak("settings/webhooks/<str:number>", webhooks.OneWebhook),
    speak("settings/webhooks/<str:number>/enable", webhooks.Enable),
    speak("settings/webhooks/<str:number>/disable", webhooks.Disable),
]

BELOW_API = [
    *of_a_kind("models", "model"),
    *of_a_kind("datasets", "dataset"),
    refuse(r"spaces/zero-gpu/quota$", SPACES_REST),  # looks like a space's own address
    *of_a_kind("spaces", "space"),
    speak("whoami-v2", account.WhoAmI),
    speak("credentials/revoke", account.RevokeFound),
    speak("agent-harnesses", account.AgentHarnesses),
    speak("telemetry/<path:topic>", account.Telemetry),
    speak("validate-yaml", push.ValidateYaml),
    speak("repos/create", repos.Create),
    speak("repos/delete", repos.Delete),
    speak("repos/move", moves.Move),
    speak("models-tags-by-type", listing.TagsByType),
    speak("datasets-tags-by-type", listing.TagsByType, type="dataset"),
    *OF_PEOPLE,
    *COLLECTIONS,
    *WEBHOOKS,
    speak("lfs/uploads", lfs.Upload),
    speak("lfs/uploads/verify", lfs.Verify),
    speak("lfs/uploads/parts/<int:number>", lfs.Part),
    speak("lfs/uploads/complete", lfs.Complete),
    speak("lfs/downloads", lfs.Download),
    *UNSERVED,
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
    speak("oauth/device", oauth.Device),
    speak("oauth/token", oauth.Token),
    speak("<str:name>/resolve/<path:rest>", NoNamespace),
    *UNSERVED_ELSEWHERE,
]
