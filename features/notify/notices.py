"""The notices: for each kind of alert its topic, its sentence, and the page that it leads to."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.urls import NoReverseMatch, reverse

from features.notify.models import Alert, Topic
from registry.kernel import seams
from registry.kernel.texts.phrases import size_in_words, usage_path
from registry.models import AccessRequest, AliasMove
from registry.repos import eligibility

Kind = Alert.Kind
CHANGES = {  # by what changed, or by the action in the audit log
    "address": "The e-mail address of your account was changed",
    "address-remove": "The e-mail address of your account was removed",
    "password": "The password of your account was changed",
    "account:app-add": "An authenticator app was added to your account",
    "account:app-remove": "The authenticator app was removed from your account",
    "account:passkey-add": "A passkey was added to your account",
    "account:passkey-remove": "A passkey was removed from your account",
    "account:recovery-codes": "New recovery codes for your account",
}


@dataclass(frozen=True)
class Notice:
    """One kind of alert: the topic under which people switch it, its sentence with names of WORDS, and its page."""

    topic: Topic
    sentence: str
    page: Callable[[Alert], str]


class _Words(dict[str, object]):
    """The words that a sentence may name: `alert`, and what WORDS says of it."""

    def __missing__(self, name: str) -> object:
        return WORDS[name](self["alert"])


def sentence(alert: Alert) -> str:
    """Return an alert as one sentence."""
    return NOTICES[Kind(alert.kind)].sentence.format_map(_Words(alert=alert))


def address(alert: Alert) -> str:
    """Return the path of the page that an alert is about."""
    try:
        return NOTICES[Kind(alert.kind)].page(alert)
    except NoReverseMatch:  # of a feature that this hub has no more
        return reverse("notifications")


def subject(alert: Alert) -> str:
    """Return the name of the adapter, organisation or account that an alert is about."""
    if alert.case is not None:
        return alert.case.label
    if alert.repository is not None:
        return alert.repository.full_name
    if alert.token is not None:
        return alert.token.name
    if named := alert.data.get("token") or alert.data.get("owner") or alert.data.get("base"):
        return str(named)
    return str(alert.invitation.organization) if alert.invitation else "Your account"


def why(alert: Alert) -> str:
    """Return why this person gets an alert that they did not cause by owning or writing something; "" for others."""
    if alert.topic == Topic.WATCHED:
        return f"You watch {subject(alert)}."
    if alert.topic == Topic.FOLLOWED:
        base = alert.data.get("base")
        return f"You follow {base or subject(alert).partition('/')[0]}."
    return ""


# --- words -----------------------------------------------------------------------------------------------------------
def _counted(words: str, less: int = 0) -> Callable[[Alert], str]:
    return lambda alert: words.format(alert.count - less) if alert.count > 1 else ""


def _held_back(alert: Alert) -> str:
    because = alert.data.get("because", eligibility.REGRESSION)
    if because == eligibility.REGRESSION:
        return "scores worse than the verified version, which stays `verified`."
    return f"passed but is not `verified`. {eligibility.REASONS[because][0]}"


def _opened(alert: Any) -> str:
    thread = alert.discussion
    return "opened the pull request" if thread.is_pull_request else "opened the discussion"


def _state(alert: Any) -> str:
    verdict = alert.verdict
    outcome = "could not be validated" if verdict.state == "errored" else verdict.state
    return f"passed before and now {outcome}" if verdict.changed_from else outcome


def _alias(alert: Alert) -> str:
    name, action, after = alert.data["alias"], alert.data["action"], (alert.data["after"] or "")[:12]
    where = f"{name} of {subject(alert)}"
    if action == AliasMove.Action.FALLBACK:
        return f"The version behind {where} was withdrawn; {name} now points to {after or 'no version'}."
    by, moves = f", by {alert.by.username}" if alert.by else "", _counted(" ({} more moves)", 1)(alert)
    return f"{where} {f'now points to {after}' if after else 'was removed'}{by}{moves}."


def _access(alert: Alert) -> str:
    if alert.request and alert.request.status == AccessRequest.Status.REJECTED:
        return f"Your request for access to {subject(alert)} was rejected. {alert.request.reason}".strip()
    return f"You now have access to the files of {subject(alert)}."


def _leaked(alert: Alert) -> str:
    data, files = alert.data, alert.data.get("files", [])
    owner = f" of {data['robot']}" if data["robot"] else " of a directory" if data["directory"] else ""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    where = f" in {files[0]}{more} of {data['repository']}" if files else ""
    return f"{'The' if owner else 'Your'} token {data['token']}{owner} was found{where}"


def _room(alert: Alert) -> str:
    held, limit = size_in_words(alert.data["bytes"]), size_in_words(alert.data["limit"])
    if alert.data["percent"] >= 100:
        return f"is full: it uses {held} of {limit}, so pushes with new files are refused."
    return f"is nearly full: it uses {held} of {limit}."


def _limits(alert: Alert) -> str:
    size, count = alert.data["bytes"], alert.data["repositories"]
    most = f"{size_in_words(size)}" if size else "any amount of data"
    return f"{most} and {f'{count:,}' if count else 'any number of'} repositories"


# Any: the columns that an alert of a kind has are not null (the constraint alert_kind_known).
WORDS: dict[str, Callable[[Any], object]] = {
    "access": _access,
    "alias": _alias,
    "appeal": lambda alert: "answered by a moderator" if alert.appeal.state == "open" else alert.appeal.state,
    "browser": lambda alert: alert.data.get("browser") or "a new browser",
    "change": lambda alert: CHANGES.get(alert.data.get("change", ""), "Your account was changed"),
    "details": lambda alert: f" ({alert.data['details']})" if alert.data.get("details") else "",
    "fits": lambda alert: " (fits, not run)" if alert.verdict.eligibility == eligibility.Kind.FITS else "",
    "held_back": _held_back,
    "hours": lambda alert: int((alert.created_at - alert.case.created_at).total_seconds() // 3600),
    "leaked": _leaked,
    "limits": _limits,
    "news": _counted(" (and {} more)", 1),
    "noun": lambda alert: "adapter" if alert.repository.type == "model" else "repository",
    "oid": lambda alert: alert.verdict.revision.oid[:12],
    "opened": _opened,
    "others": _counted(" and {} more", 1),
    "outcome": lambda alert: alert.case.get_outcome_display(),
    "place": lambda alert: f" at {alert.data['address']}" if alert.data.get("address") else "",
    "reason": lambda alert: f" {alert.data['reason']}".rstrip(),
    "robot": lambda alert: f" of {alert.token.user}" if alert.token.user.is_machine else "",
    "room": _room,
    "since": _counted(" ({} since your last visit)"),
    "state": _state,
    "subject": subject,
    "times": _counted(" {} times"),
    "version": lambda alert: f"Revision {alert.decision.revision.oid[:12]} of " if alert.decision.revision else "",
    "who": lambda alert: alert.by.username if alert.by else "Somebody",
    "whose": lambda alert: "The" if alert.token.user.is_machine else "Your",
}


# --- pages -----------------------------------------------------------------------------------------------------------
def _page(name: str, *columns: str) -> Callable[[Alert], str]:
    """Return the address of a named page from an alert, whose columns it takes."""
    return lambda alert: reverse(name, args=[attrgetter(column)(alert) for column in columns])


def _held_page(alert: Any) -> str:
    revision = alert.decision.revision
    return reverse("commit", args=[alert.repository, revision.oid]) if revision else REPOSITORY(alert)


def _token_page(alert: Any) -> str:
    owner = alert.token.user
    return reverse("robot", args=[owner.works_for, owner.robot_name]) if owner.works_for else reverse("tokens")


def _leaked_token_page(alert: Alert) -> str:
    if robot := alert.data["robot"]:
        return reverse("robot", args=str(robot).split("+", 1))
    if not alert.data["directory"]:
        return reverse("tokens")
    return reverse(next((kind.page for feature in seams.joined() for kind in feature.tokens), "home"))


def _usage_page(alert: Alert) -> str:
    return usage_path(alert.data["owner"], is_person=alert.data["owner"] == alert.user.username)


def _commits(alert: Alert) -> str:
    return reverse("commits", args=[alert.repository, "main"])


REPOSITORY = _page("repository", "repository")
VERDICT = _page("verdict", "repository", "verdict.revision.oid")
THREAD = _page("discussion", "repository", "discussion.number")

IN_THREAD = "{subject}#{alert.discussion.number}: {alert.discussion.title}{news}"
NOTICES: dict[Kind, Notice] = {
    Kind.VERDICT: Notice(Topic.OWN, "{subject} at {oid} {state}.", VERDICT),
    Kind.REGRESSED: Notice(
        Topic.OWN,
        "{subject} at {alert.data[revision]:.12} {held_back}",
        lambda alert: reverse("verdict", args=[alert.repository, alert.data["revision"]]),
    ),
    Kind.ASKED: Notice(Topic.ACCESS, "{who}{others} requested access to {subject}.", _page("access", "repository")),
    Kind.DECIDED: Notice(Topic.ACCESS, "{access}", REPOSITORY),
    Kind.OPENED: Notice(Topic.DISCUSSIONS, "{who} {opened} " + IN_THREAD, THREAD),
    Kind.SAID: Notice(Topic.DISCUSSIONS, "New activity by {who} in " + IN_THREAD, THREAD),
    Kind.MENTIONED: Notice(Topic.MENTIONS, "{who} mentioned you in " + IN_THREAD, THREAD),
    Kind.INVITED: Notice(
        Topic.INVITATIONS,
        "{who} invited you to join {alert.invitation.organization} as {alert.invitation.role}.",
        _page("organizations"),
    ),
    Kind.PUSHED: Notice(Topic.WATCHED, "{who} pushed{times} to {subject}.", _commits),
    Kind.VERIFIED: Notice(Topic.WATCHED, "{subject} has a new verified version, {oid}{fits}{since}.", VERDICT),
    Kind.ALIAS_MOVED: Notice(Topic.WATCHED, "{alias}", _commits),
    Kind.RELEASE_MADE: Notice(
        Topic.WATCHED,
        "{who} released {alert.data[tag]} of {subject}{since}.",
        lambda alert: f"{REPOSITORY(alert)}/releases",
    ),
    Kind.ALIAS_FELL_BACK: Notice(Topic.OWN, "{alias}", _commits),
    Kind.BASE_ARRIVED: Notice(
        Topic.FOLLOWED,
        "The base model {subject}, which you requested, is now available: its adapters are being validated.",
        lambda alert: reverse("base", args=[alert.data["base"]]),
    ),
    Kind.CREATED: Notice(Topic.FOLLOWED, "{who} created the {noun} {subject}.", REPOSITORY),
    Kind.HELD: Notice(Topic.HOLDS, "{version}{subject} was quarantined: {alert.decision.reason}", _held_page),
    Kind.RELEASED: Notice(
        Topic.HOLDS, "{version}{subject} was released from quarantine: {alert.decision.reason}", _held_page
    ),
    Kind.REPORT: Notice(
        Topic.REPORTS, "Your report about {subject} was decided. {outcome}: {alert.case.answer}", _page("own-reports")
    ),
    Kind.STRIKE: Notice(
        Topic.HOLDS,
        "You received a strike, which counts until {alert.strike.expires_at:%-d %B %Y}: {alert.strike.reason}",
        _page("standing"),
    ),
    Kind.APPEALED: Notice(
        Topic.CASES, "An owner appealed the quarantine of {subject}.", _page("moderation-appeal", "appeal_id")
    ),
    Kind.OVERDUE: Notice(
        Topic.OVERDUE,
        "A {alert.case.reason} case about {subject} has been waiting for {hours} hours.",
        lambda alert: f"{reverse('moderation')}?state=late&case={alert.case_id}",
    ),
    Kind.ANSWERED: Notice(Topic.HOLDS, "Your appeal about {subject} was {appeal}.", _page("appeal", "appeal_id")),
    Kind.SIGNED_IN: Notice(
        Topic.SECURITY,
        "New sign-in to your account from {browser}{place}. If this was not you, change your password.",
        _page("security"),
    ),
    Kind.ACCOUNT: Notice(
        Topic.SECURITY, "{change}{details}. If this was not you, change your password.", _page("security")
    ),
    Kind.TOKEN_ENDS: Notice(
        Topic.SECURITY,
        "{whose} token {alert.token.name}{robot} expires on {alert.token.expires_at:%-d %B %Y}. Create a new one.",
        _token_page,
    ),
    Kind.TOKEN_LEAKED: Notice(
        Topic.SECURITY, "{leaked}, where others may have read it. It was revoked; create a new one.", _leaked_token_page
    ),
    Kind.QUOTA: Notice(Topic.USAGE, "{subject} {room}", _usage_page),
    Kind.QUOTA_CHANGED: Notice(Topic.USAGE, "{subject} can now store {limits}.{reason}", _usage_page),
}
