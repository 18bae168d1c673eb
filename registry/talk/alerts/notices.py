"""The table of alerts: for each kind its topic, its sentence, and the page that it leads to."""

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import reverse

from registry.kernel.texts import links
from registry.kernel.texts.sizes import size_in_words
from registry.models import AccessRequest, Alert, AliasMove, Discussion, Topic
from registry.repos import eligibility
from registry.repos.refs import short_name

Kind = Alert.Kind
CHANGES = {  # by what changed, or by the action in the audit log
    "address": "The e-mail address of your account was changed",
    "address-remove": "The e-mail address of your account was removed",
    "password": "The password of your account was changed",
    "account:app-add": "An authenticator app was added to your account",
    "account:app-remove": "The authenticator app was removed from your account",
    "account:passkey-add": "A passkey was added to your account",
    "account:passkey-remove": "A passkey was removed from your account",
    "account:recovery-codes": "New recovery codes were made for your account",
}


@dataclass(frozen=True)
class Notice:
    """The sentence and the link of one kind of alert, and the topic under which people switch it."""

    topic: Topic
    sentence: Callable[[Alert], str]
    address: Callable[[Alert], str]


def sentence(alert: Alert) -> str:
    """Return an alert as one sentence."""
    return NOTICES[Kind(alert.kind)].sentence(alert)


def address(alert: Alert) -> str:
    """Return the path of the page that an alert is about."""
    return NOTICES[Kind(alert.kind)].address(alert)


def subject(alert: Alert) -> str:
    """Return the name of the adapter, organisation or account that an alert is about."""
    if alert.case is not None:
        return alert.case.label
    if alert.repository is not None:
        return alert.repository.full_name
    if alert.token is not None:
        return alert.token.name
    if token := alert.data.get("token"):
        return str(token)
    if owner := alert.data.get("owner"):
        return str(owner)
    return str(alert.invitation.organization) if alert.invitation else "Your account"


def why(alert: Alert) -> str:
    """Return why this person gets an alert that they did not cause by owning or writing something; "" for others."""
    if alert.topic == Topic.WATCHED:
        return f"You watch {subject(alert)}."
    if alert.topic == Topic.FOLLOWED:
        base = alert.data.get("base")
        return f"You follow {base or subject(alert).partition('/')[0]}."
    return ""


def _who(alert: Alert) -> str:
    return alert.by.username if alert.by else "Somebody"


def _more(alert: Alert) -> str:
    return f" ({alert.count} since you looked)" if alert.count > 1 else ""


# --- sentences -------------------------------------------------------------------------------------------------------
def _verdict(alert: Alert) -> str:
    assert alert.verdict is not None, "the constraint alert_kind_known"
    state, oid = alert.verdict.state, alert.verdict.revision.oid[:12]
    how = f"passed before, and is {state} now" if alert.verdict.changed_from else f"is {state}"
    return f"{subject(alert)} at {oid} {how}."


def _regressed(alert: Alert) -> str:
    oid, because = alert.data["revision"][:12], alert.data.get("because", eligibility.REGRESSION)
    if because == eligibility.REGRESSION:
        return f"{subject(alert)} at {oid} measures worse than the verified version, which stays `verified`."
    return f"{subject(alert)} at {oid} passed and is not `verified`. {eligibility.REASONS[because][0]}"


def _verified(alert: Alert) -> str:
    assert alert.verdict is not None, "the constraint alert_kind_known"
    fits = " (fits, not run)" if alert.verdict.eligibility == eligibility.Kind.FITS else ""
    return f"{subject(alert)} has a new verified version, {alert.verdict.revision.oid[:12]}{fits}{_more(alert)}."


def _pushed(alert: Alert) -> str:
    times = f" {alert.count} times" if alert.count > 1 else ""
    return f"{_who(alert)} pushed{times} to {subject(alert)}."


def _created(alert: Alert) -> str:
    noun = "adapter" if alert.repository and alert.repository.type == "model" else "repository"
    return f"{_who(alert)} created the {noun} {subject(alert)}."


def _thread(alert: Alert) -> str:
    assert alert.discussion is not None, "the constraint alert_kind_known"
    thread, more = alert.discussion, f" (and {alert.count - 1} more)" if alert.count > 1 else ""
    return f"{_deed(alert, thread)} {subject(alert)}#{thread.number}: {thread.title}{more}"


def _deed(alert: Alert, thread: Discussion) -> str:
    who = _who(alert)
    if alert.kind == Kind.MENTIONED:
        return f"{who} mentioned you in"
    if alert.kind == Kind.OPENED:
        return f"{who} proposes a change of {short_name(thread.base)} in" if thread.is_pull_request else f"{who} opened"
    return f"News from {who} in"


def _alias(alert: Alert) -> str:
    name, action, after = alert.data["alias"], alert.data["action"], (alert.data["after"] or "")[:12]
    where = f"{name} of {subject(alert)}"
    if action == AliasMove.Action.FALLBACK:
        return f"The version behind {where} is withdrawn: it {f'falls back to {after}' if after else 'names none now'}."
    more = f" ({alert.count - 1} more moves)" if alert.count > 1 else ""
    deed = f"names {after} now" if after else "is removed"
    return f"{where} {deed}{f', by {alert.by.username}' if alert.by else ''}{more}."


def _released(alert: Alert) -> str:
    return f"{_who(alert)} released {alert.data['tag']} of {subject(alert)}{_more(alert)}."


def _asked(alert: Alert) -> str:
    others = f" and {alert.count - 1} more" if alert.count > 1 else ""
    return f"{_who(alert)}{others} asked for access to {subject(alert)}."


def _decided(alert: Alert) -> str:
    if alert.request and alert.request.status == AccessRequest.Status.REJECTED:
        return f"Your request for access to {subject(alert)} was rejected. {alert.request.reason}".strip()
    return f"You have access to the files of {subject(alert)} now."


def _invited(alert: Alert) -> str:
    assert alert.invitation is not None, "the constraint alert_kind_known"
    return f"{_who(alert)} invites you to {alert.invitation.organization} as {alert.invitation.role}."


def _held(alert: Alert) -> str:
    assert alert.decision is not None, "the constraint alert_kind_known"
    name, revision = subject(alert), alert.decision.revision
    what = f"Revision {revision.oid[:12]} of {name}" if revision else name
    state = "is served again" if alert.kind == Kind.RELEASED else "is held back"
    return f"{what} {state}: {alert.decision.reason}"


def _report(alert: Alert) -> str:
    assert alert.case is not None, "the constraint alert_kind_known"
    return f"Your report of {subject(alert)} is decided. {alert.case.get_outcome_display()}: {alert.case.answer}"


def _overdue(alert: Alert) -> str:
    assert alert.case is not None, "the constraint alert_kind_known"
    hours = int((alert.created_at - alert.case.created_at).total_seconds() // 3600)
    return f"A case of {alert.case.reason} about {subject(alert)} has waited for {hours} hours."


def _strike(alert: Alert) -> str:
    assert alert.strike is not None, "the constraint alert_kind_known"
    return f"You got a strike, which counts until {alert.strike.expires_at:%-d %B %Y}: {alert.strike.reason}"


def _answered(alert: Alert) -> str:
    state = alert.appeal.state if alert.appeal else "open"
    news = "was answered by a moderator" if state == "open" else f"was {state}"
    return f"Your appeal about {subject(alert)} {news}."


def _signed_in(alert: Alert) -> str:
    browser, place = alert.data.get("browser") or "a new browser", alert.data.get("address")
    where = f" at {place}" if place else ""
    return f"Your account was signed in to from {browser}{where}. If that was not you, change your password."


def _account(alert: Alert) -> str:
    details = alert.data.get("details")
    change = CHANGES.get(alert.data.get("change", ""), "Your account was changed")
    return f"{change}{f' ({details})' if details else ''}. If that was not you, change your password."


def _token(alert: Alert) -> str:
    assert alert.token is not None, "the constraint alert_kind_known"
    token = alert.token
    whose = f"The token {token.name} of {token.user}" if token.user.is_machine else f"Your token {token.name}"
    return f"{whose} ends on {token.expires_at:%-d %B %Y}: make a new one in time."


def _token_leaked(alert: Alert) -> str:
    data = alert.data
    what = f"The token {data['token']}" if data["robot"] or data["directory"] else f"Your token {data['token']}"
    owner = f" of {data['robot']}" if data["robot"] else " of a directory" if data["directory"] else ""
    files = data.get("files", [])
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    where = f" in {files[0]}{more} of {data['repository']}" if files else ""
    return f"{what}{owner} was found{where}, where others may have read it. It is revoked: make a new one."


def _quota(alert: Alert) -> str:
    held, limit = size_in_words(alert.data["bytes"]), size_in_words(alert.data["limit"])
    if alert.data["percent"] >= 100:
        return f"{subject(alert)} is full: it holds {held} of {limit}, and pushes with new files are refused."
    return f"{subject(alert)} is nearly full: it holds {held} of {limit}."


def _quota_changed(alert: Alert) -> str:
    size, count = alert.data["bytes"], alert.data["repositories"]
    most = f"{size_in_words(size)}" if size else "any number of bytes"
    many = f"{count:,} repositories" if count else "any number of repositories"
    return f"{subject(alert)} may now hold {most} and {many}. {alert.data['reason']}".strip()


# --- addresses -------------------------------------------------------------------------------------------------------
def _repository_page(alert: Alert) -> str:
    assert alert.repository is not None, "the constraint alert_has_repository"
    return alert.repository.get_absolute_url()


def _verdict_page(alert: Alert) -> str:
    return reverse("verdict", args=[alert.repository, alert.verdict.revision.oid]) if alert.verdict else ""


def _thread_page(alert: Alert) -> str:
    return reverse("discussion", args=[alert.repository, alert.discussion.number]) if alert.discussion else ""


def _held_page(alert: Alert) -> str:
    revision = alert.decision.revision if alert.decision else None
    return reverse("commit", args=[alert.repository, revision.oid]) if revision else _repository_page(alert)


def _token_page(alert: Alert) -> str:
    assert alert.token is not None, "the constraint alert_kind_known"
    owner = alert.token.user
    return reverse("robot", args=[owner.works_for, owner.robot_name]) if owner.works_for else reverse("tokens")


def _leaked_token_page(alert: Alert) -> str:
    if alert.data["directory"]:
        return reverse("directory-tokens")
    if robot := alert.data["robot"]:
        return reverse("robot", args=str(robot).split("+", 1))
    return reverse("tokens")


def _usage_page(alert: Alert) -> str:
    return links.usage_path(alert.data["owner"], is_person=alert.data["owner"] == alert.user.username)


NOTICES: dict[Kind, Notice] = {
    Kind.VERDICT: Notice(Topic.OWN, _verdict, _verdict_page),
    Kind.REGRESSED: Notice(
        Topic.OWN, _regressed, lambda alert: reverse("verdict", args=[alert.repository, alert.data["revision"]])
    ),
    Kind.ASKED: Notice(Topic.ACCESS, _asked, lambda alert: reverse("access", args=[alert.repository])),
    Kind.DECIDED: Notice(Topic.ACCESS, _decided, _repository_page),
    Kind.OPENED: Notice(Topic.DISCUSSIONS, _thread, _thread_page),
    Kind.SAID: Notice(Topic.DISCUSSIONS, _thread, _thread_page),
    Kind.MENTIONED: Notice(Topic.MENTIONS, _thread, _thread_page),
    Kind.INVITED: Notice(Topic.INVITATIONS, _invited, lambda alert: reverse("organizations")),
    Kind.PUSHED: Notice(Topic.WATCHED, _pushed, lambda alert: reverse("commits", args=[alert.repository, "main"])),
    Kind.VERIFIED: Notice(Topic.WATCHED, _verified, _verdict_page),
    Kind.ALIAS_MOVED: Notice(Topic.WATCHED, _alias, lambda alert: reverse("commits", args=[alert.repository, "main"])),
    Kind.RELEASE_MADE: Notice(Topic.WATCHED, _released, lambda alert: reverse("releases", args=[alert.repository])),
    Kind.ALIAS_FELL_BACK: Notice(Topic.OWN, _alias, lambda alert: reverse("commits", args=[alert.repository, "main"])),
    Kind.CREATED: Notice(Topic.FOLLOWED, _created, _repository_page),
    Kind.HELD: Notice(Topic.HOLDS, _held, _held_page),
    Kind.RELEASED: Notice(Topic.HOLDS, _held, _held_page),
    Kind.REPORT: Notice(Topic.REPORTS, _report, lambda alert: reverse("own-reports")),
    Kind.STRIKE: Notice(Topic.HOLDS, _strike, lambda alert: reverse("standing")),
    Kind.APPEALED: Notice(
        Topic.CASES,
        lambda alert: f"An owner appeals to release {subject(alert)}.",
        lambda alert: reverse("moderation-appeal", args=[alert.appeal_id]),
    ),
    Kind.OVERDUE: Notice(
        Topic.OVERDUE, _overdue, lambda alert: f"{reverse('moderation')}?state=late&case={alert.case_id}"
    ),
    Kind.ANSWERED: Notice(Topic.HOLDS, _answered, lambda alert: reverse("appeal", args=[alert.appeal_id])),
    Kind.SIGNED_IN: Notice(Topic.SECURITY, _signed_in, lambda alert: reverse("security")),
    Kind.ACCOUNT: Notice(Topic.SECURITY, _account, lambda alert: reverse("security")),
    Kind.TOKEN_ENDS: Notice(Topic.SECURITY, _token, _token_page),
    Kind.TOKEN_LEAKED: Notice(Topic.SECURITY, _token_leaked, _leaked_token_page),
    Kind.QUOTA: Notice(Topic.USAGE, _quota, _usage_page),
    Kind.QUOTA_CHANGED: Notice(Topic.USAGE, _quota_changed, _usage_page),
}
