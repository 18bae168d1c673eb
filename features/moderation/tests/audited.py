"""The acts of moderation that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.moderation import appeals, queue, strikes
from registry.models import Repository
from registry.moderation import quarantine
from tests.cast import Cast

Act = Callable[[], object]
WHY = {"reason": "It steals credentials."}


def trust_reporter(cast: Cast) -> Act:
    return lambda: queue.set_trusted(cast["carol"], cast.session("ada"), True)


def pause(cast: Cast) -> Act:
    strikes.give(cast["carol"], "Spam.", by=cast["mona"])
    return lambda: strikes.give(cast["carol"], "Spam again.", by=cast["mona"])


def held_repository(cast: Cast) -> Repository:
    row = cast.repository("acme/x")
    quarantine.quarantine(row, cast.session("mona"), **WHY)
    return row


def open_appeal(cast: Cast) -> Act:
    row = held_repository(cast)
    return lambda: appeals.open_appeal(row, cast.session("alice"), "It is harmless.")


def answer_appeal(approve: bool) -> Callable[[Cast], Act]:
    def scenario(cast: Cast) -> Act:
        appeal = appeals.open_appeal(held_repository(cast), cast.session("alice"), "It is harmless.")
        return lambda: appeals.decide(appeal, cast.session("mona"), approve=approve, reason="Looked at.")

    return scenario


def void_strike(cast: Cast) -> Act:
    strike = strikes.give(cast["carol"], "Spam.", by=cast["mona"])
    return lambda: strikes.void(strike, cast.session("mona"), **WHY)


SERVICES: dict[str, Callable[[Cast], Act]] = {
    "person:trust": trust_reporter,
    "person:strike": lambda cast: lambda: strikes.give(cast["carol"], "Spam.", by=cast["mona"]),
    "person:void-strike": void_strike,
    "appeal:open": open_appeal,
    "appeal:reject": answer_appeal(False),
}
TWO: dict[str, tuple[Callable[[Cast], Act], list[str]]] = {
    "appeal:approve": (answer_appeal(True), ["adapter:release", "appeal:approve"]),
    "person:pause": (pause, ["person:strike", "person:pause"]),
}
PROVEN_ELSEWHERE = {
    "adapter:look": "features/moderation/tests/test_cases.py",
    "case:": "features/moderation/tests/test_cases.py",
}
