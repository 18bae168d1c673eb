"""The wire table: every Hub route we speak, those we know and refuse with a sentence, and the rest below /api/."""

from django.urls import URLPattern, path, re_path
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


def speak(route: str, view: type[View], **given: str) -> URLPattern:
    """One route we serve."""
    return path(route, view.as_view(), given)


def refuse(pattern: str, sentence: str) -> URLPattern:
    """Routes we know and do not serve (yet)."""
    return re_path(rf"^{pattern}", Unserved.as_view(sentence=sentence))


def of_a_repository(kind: str, type: str) -> list[URLPattern]:
    """The routes of one repository below /api/."""
    one = f"api/{kind}/<str:ns>/<str:name>"
    table = [
        ("", listing.Info),
        ("/revision/<path:rev>", listing.Info),
        ("/auth-check", repos.AuthCheck),
        ("/auth-check/write", repos.WriteCheck),
        ("/settings", repos.Settings),
        ("/preupload/<path:rev>", push.Preupload),
        ("/commit/<path:rev>", push.Commit),
        ("/tree/<path:tail>", pull.Tree),
        ("/paths-info/<path:rev>", pull.PathsInfo),
        ("/safetensors-metadata/<path:path>", pull.Headers),
        ("/refs", refs.Refs),
        ("/commits/<path:rev>", refs.Commits),
        ("/branch/<path:rev>", refs.Branch),
        ("/tag/<path:rev>", refs.Tag),
        ("/like", likes.OneLike),
        ("/likers", likes.Likers),
        ("/user-access-request/handle", gates.Handle),
        ("/user-access-request/grant", gates.Grant),
        ("/user-access-request/<str:status>", gates.Requests),
        ("/duplicate", moves.Duplicate),
        ("/super-squash/<path:rev>", moves.SuperSquash),
        ("/lfs-files", moves.LargeFiles),
        ("/lfs-files/batch", moves.DropLargeFiles),
        ("/lfs-files/duplicate", moves.ShareFiles),
        ("/lfs-files/<str:sha256>", moves.OneLargeFile),
        ("/discussions", discussions.Discussions),
        ("/discussions/<int:number>", discussions.OneDiscussion),
        ("/discussions/<int:number>/comment", discussions.Comment),
        ("/discussions/<int:number>/title", discussions.Title),
        ("/discussions/<int:number>/status", discussions.Status),
        ("/discussions/<int:number>/merge", discussions.Merge),
        ("/discussions/<int:number>/comment/<str:comment>/edit", discussions.EditComment),
        ("/discussions/<int:number>/comment/<str:comment>/hide", discussions.HideComment),
    ]
    lists = speak(f"api/{kind}", listing.List, type=type)
    return [lists, *(speak(one + rest, view, type=type) for rest, view in table)]


def of_its_files(prefix: str, type: str) -> list[URLPattern]:
    """The routes of one repository's bytes, at the addresses of its pages."""
    one = f"{prefix}<str:ns>/<str:name>"
    return [
        speak(f"{one}/resolve/<path:tail>", pull.Resolve, type=type),
        speak(f"{one}/raw/<path:tail>", pull.Resolve, type=type),
        speak(f"{one}.git/info/lfs/objects/batch", lfs.Batch, type=type),
    ]


PARTS = "revision|auth-check|settings|preupload|commit|tree|paths-info|refs|commits|branch|tag|discussions|like"
ID = r"api/(models|datasets|spaces)/[^/]+/[^/]+"
RUNNING = (
    "runtime|hardware|secrets|variables|sleeptime|storage|restart|pause|logs|dev-mode|volumes|sse|hot-reload|events"
)
SPACES_REST = "Spaces are kept here as files; nothing of them is run."
GIT = "This hub does not speak git itself: bring a repository with `hf download`, and push to it with `hf upload`."
UNSERVED = [
    refuse(rf"{ID}/discussions/", "This hub has no such part of discussions."),
    re_path(r"^(?:(?:datasets|spaces)/)?[^/]+/[^/]+/info/refs$", refs.NoGit.as_view(sentence=GIT)),
    refuse(rf"{ID}/resource-group(/|$)", "This hub has no resource groups."),
    refuse(r"api/collections/.+/resource-group$", "This hub has no resource groups."),
    refuse(r"api/repos/duplicate$", "A repository is duplicated at its own address, /api/models/{id}/duplicate."),
    refuse(r"api/(settings|users|organizations)/", "Accounts are kept on the website: see /settings."),
    refuse(r"api/datasets/[^/]+/[^/]+/leaderboard$", "This hub ranks no models by datasets; see the verdicts of each."),
    refuse(r"api/spaces/(hardware|templates|semantic-search)$", SPACES_REST),
    refuse(rf"api/spaces/[^/]+/[^/]+/({RUNNING})(/|$)", SPACES_REST),
    refuse(r"(api/)?(daily_papers|papers)(/|$)", "This hub keeps no papers."),
    refuse(r"(api/)?(kernels|jobs|buckets|scheduled-jobs)(/|$)", "This hub keeps models, datasets and spaces only."),
    refuse(r"api/tasks(/|$)", "This hub recommends no models for tasks: filter the list of models by one."),
    refuse(r"uploads$", "Pictures are not kept beside discussions: push them to a repository, and link to them."),
]

OF_PEOPLE = [
    speak("api/users/<str:name>/overview", users.UserOverview),
    speak("api/users/<str:name>/followers", users.Followers),
    speak("api/users/<str:name>/following", users.Following),
    speak("api/users/<str:name>/follow", users.FollowUser),
    speak("api/users/<str:name>/likes", users.Likes),
    speak("api/organizations/<str:name>/overview", users.OrganizationOverview),
    speak("api/organizations/<str:name>/members", users.Members),
    speak("api/organizations/<str:name>/followers", users.OrganizationFollowers),
    speak("api/organizations/<str:name>/follow", users.FollowOrganization),
    speak("api/organizations/<str:name>/settings/repositories", users.OrganizationRepositories),
    speak("api/settings/repositories", users.Repositories),
]
COLLECTIONS = [
    speak("api/collections", collections.Collections),
    speak("api/collections/<str:ns>/<str:slug>", collections.OneCollection),
    speak("api/collections/<str:ns>/<str:slug>/items", collections.Items),
    speak("api/collections/<str:ns>/<str:slug>/items/<str:item>", collections.OneItem),
]
WEBHOOKS = [
    speak("api/settings/webhooks", webhooks.Webhooks),
    speak("api/settings/webhooks/<str:number>", webhooks.OneWebhook),
    speak("api/settings/webhooks/<str:number>/enable", webhooks.Enable),
    speak("api/settings/webhooks/<str:number>/disable", webhooks.Disable),
]

urlpatterns = [
    speak("api/whoami-v2", account.WhoAmI),
    speak("api/credentials/revoke", account.RevokeFound),
    speak("api/agent-harnesses", account.AgentHarnesses),
    speak("api/telemetry/<path:topic>", account.Telemetry),
    speak("api/validate-yaml", push.ValidateYaml),
    speak("api/repos/create", repos.Create),
    speak("api/repos/delete", repos.Delete),
    speak("api/repos/move", moves.Move),
    speak("api/models-tags-by-type", listing.TagsByType),
    speak("api/datasets-tags-by-type", listing.TagsByType, type="dataset"),
    *OF_PEOPLE,
    *COLLECTIONS,
    *WEBHOOKS,
    speak("oauth/device", oauth.Device),
    speak("oauth/token", oauth.Token),
    speak("api/lfs/uploads", lfs.Upload),
    speak("api/lfs/uploads/verify", lfs.Verify),
    speak("api/lfs/uploads/parts/<int:number>", lfs.Part),
    speak("api/lfs/uploads/complete", lfs.Complete),
    speak("api/lfs/downloads", lfs.Download),
    *of_a_repository("models", "model"),
    *of_a_repository("datasets", "dataset"),
    refuse(r"api/spaces/zero-gpu/quota$", SPACES_REST),  # looks like a space's own address
    *of_a_repository("spaces", "space"),
    *UNSERVED,
    re_path(rf"^api/(?:models|datasets|spaces)/(?P<name>[^/]+)(?:/(?:{PARTS})(?P<rest>/.*)?)?$", NoNamespace.as_view()),
    re_path(r"^api/(?!v1/)", Unknown.as_view()),
    *of_its_files("datasets/", "dataset"),
    *of_its_files("spaces/", "space"),
    *of_its_files("", "model"),
    speak("<str:name>/resolve/<path:rest>", NoNamespace),
]
