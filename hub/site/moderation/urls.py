"""The routes below /moderation."""

from hub.site.administration.staff import for_moderators
from hub.site.moderation import appeals, case, evidence, people, queue
from hub.site.routing import at, forms

CASE = "moderation/cases/<int:number>"
APPEAL = "moderation/appeals/<int:number>"
PERSON = "moderation/people/<str:name>"

MODERATION = [
    at("moderation", queue.listed, "moderation"),
    *forms(
        "moderation",
        "moderation",
        ("close", queue.close_many, "close-cases"),
        ("views", queue.save_view, "save-view"),
        ("views/<int:number>/remove", queue.remove_view, "remove-view"),
        guard=for_moderators,
    ),
    at(CASE, case.one, "case"),
    *forms(
        "case",
        CASE,
        ("claim", case.claim, "claim-case"),
        ("give-back", case.give_back, "give-back-case"),
        ("note", case.note, "note-case"),
        ("close", case.close, "close-case"),
        guard=for_moderators,
    ),
    at("moderation/appeals", appeals.listed, "moderation-appeals"),
    at(APPEAL, appeals.one, "moderation-appeal"),
    *forms(
        "moderation-appeal",
        APPEAL,
        ("write", appeals.write, "answer-appeal"),
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
    at(PERSON, people.one, "moderation-person"),
    *forms(
        "moderation-person",
        PERSON,
        ("strikes/<int:strike>/void", people.void_strike, "void-strike"),
        ("unsuspend", people.unsuspend, "unsuspend"),
        guard=for_moderators,
    ),
    at("moderation/files/<repository:address>/at/<str:rev>/<path:path>", evidence.look, "evidence"),
]
