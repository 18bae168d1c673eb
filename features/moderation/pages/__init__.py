"""The pages of moderators, below /moderation; those on which people report and appeal, and see what came of it."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, Min, Q
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from features.moderation import evidence
from features.moderation.appeals import against, answered, unanswered
from features.moderation.pages import appeals, people, queue
from features.moderation.pages.appeals import NewAppeal
from hub.site.panels import PEOPLE, Link, Pages, Panel
from hub.site.routing import at, forms
from hub.site.sign_in.sessions import for_moderators
from hub.site.visitor import caller, person
from registry.kernel import policy
from registry.models import Appeal, Case

CASE = "moderation/cases/<int:number>"
APPEAL = "moderation/appeals/<int:number>"
PERSON = "moderation/people/<str:name>"
MOST_NEEDS = 5  # of one kind, on the home of a person
OF_PEOPLE = ("moderation-person", "void-strike", "unsuspend")

ROUTES = [
    at("moderation", queue.listed, "moderation"),
    at("moderation/cases", queue.listed, "cases"),
    *forms(
        "moderation",
        "moderation",
        ("close", queue.close_many, "close-cases"),
        ("views", queue.save_view, "save-view"),
        ("views/<int:number>/remove", queue.remove_view, "remove-view"),
        guard=for_moderators,
    ),
    at(CASE, queue.show_case, "case"),
    *forms(
        "case",
        CASE,
        ("claim", queue.claim, "claim-case"),
        ("give-back", queue.give_back, "give-back-case"),
        ("note", queue.note, "note-case"),
        ("close", queue.close, "close-case"),
        guard=for_moderators,
    ),
    at("moderation/appeals", appeals.listed, "moderation-appeals"),
    at(APPEAL, appeals.for_moderator, "moderation-appeal"),
    *forms(
        "moderation-appeal",
        APPEAL,
        ("write", appeals.answer, "answer-appeal"),
        ("approve", appeals.approve, "approve-appeal"),
        ("reject", appeals.reject, "reject-appeal"),
        guard=for_moderators,
    ),
    at("moderation/reporters", people.reporters, "moderation-reporters"),
    *forms(
        "moderation-reporters",
        "moderation/reporters",
        ("<str:name>/trust", people.trust, "trust-reporter"),
        ("<str:name>/distrust", people.distrust, "distrust-reporter"),
        guard=for_moderators,
    ),
    at(PERSON, people.show_person, "moderation-person"),
    *forms(
        "moderation-person",
        PERSON,
        ("strikes/<int:strike>/void", people.void_strike, "void-strike"),
        ("unsuspend", people.unsuspend, "unsuspend"),
        guard=for_moderators,
    ),
    at("moderation/files/<repository:address>/at/<str:rev>/<path:path>", queue.look, "evidence"),
    at("reports/new", people.new_report, "report"),
    *forms("repository", "<repository:address>", ("appeal", appeals.open_appeal, "open-appeal")),
    at("settings/reports", require_safe(lambda request: redirect(f"{reverse('standing')}#reports")), "own-reports"),
    at("settings/standing", people.own_standing, "standing"),
    at("settings/appeals/<int:number>", appeals.for_owner, "appeal"),
    *forms("appeal", "settings/appeals/<int:number>", ("write", appeals.write, "write-appeal")),
]


def _places(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what the reports of the case point to for which something is held back."""
    decision = page["decision"]
    places = evidence.places(decision.case) if decision and decision.case else []
    return {"places": places} if places else None


def _held(page: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the appeal of who looks at what is held back, and the form of a new one if they may appeal."""
    by, revision, decision = page["request"].caller, page["revision"], page["decision"]
    may_write = policy.may_write(by, page["repository"])
    return {
        "appeal": against(revision or page["repository"], by.user),
        "may_appeal": may_write and decision is not None and decision.action != "takedown",
        "form": NewAppeal(initial={"revision": revision.oid if revision else ""}),
    }


def _needs(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what moderation wants of the person: an appeal, a look at an answer, and of moderators their queue."""
    by, user = caller(page["request"]), person(page["request"])
    shown: dict[str, object] = {"holds": unanswered(user, by)[:MOST_NEEDS], "answered": answered(user)[:MOST_NEEDS]}
    if by.is_staff:
        waiting = Case.objects.filter(Q(state=Case.State.OPEN) | Q(state=Case.State.CLAIMED, claimed_by=user))
        shown |= waiting.aggregate(cases=Count("pk"), since=Min("created_at"), oldest=Min("pk"))
        open_appeals = Appeal.objects.filter(state=Appeal.State.OPEN).order_by("pk")
        shown["appeals"] = open_appeals.select_related("decision__repository__namespace", "user")[:MOST_NEEDS]
    return shown if any(shown.values()) else None


def _for_staff(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    return {} if page["header"].by.is_staff else None


PAGES = Pages(
    routes=ROUTES,
    links=(
        Link("staff", "moderation", _("Moderation")),
        Link("report", "report", _("Report")),
        Link("settings", "standing", _("Moderation"), place=80, pages=("appeal", "write-appeal")),
        Link("moderation", "cases", _("Cases"), place=20, pages=("moderation", "evidence")),
        Link("moderation", "moderation-appeals", _("Appeals"), place=30),
        Link("moderation", "moderation-reporters", _("Reporters"), place=40, group=PEOPLE, pages=OF_PEOPLE),
    ),
    panels=(
        Panel("own-needs", "moderation/needs.html", _needs),
        Panel("held-reason", "moderation/places.html", _places),
        Panel("held", "moderation/held.html", _held),
        Panel("repository-menu-end", "moderation/its_cases.html", _for_staff),
    ),
)
