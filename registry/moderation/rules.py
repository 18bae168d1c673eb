"""The rules by which the hub holds something back by itself, all of them; the table in docs/moderation.md lists them.

Findings of the hub never count as reporters: a rule about reports needs people.
"""

from collections.abc import Callable
from dataclasses import dataclass

from registry.models import Case, Repository, Revision
from registry.proof.verified import withdrawals

PICKLE, LIVE_SECRET, BLOCKED_FILE = "file.pickle", "privacy.secret-live", "file.blocked"
LOOK_ALIKE = "name.look-alike"
ATTACKS = frozenset({Case.Reason.MALWARE.value, Case.Reason.BACKDOOR.value})


@dataclass(frozen=True)
class Facts:
    """The facts of a case that rules ask for: the hub's findings, and the reporters of an attack."""

    findings: frozenset[str] = frozenset()
    reporters: int = 0  # distinct people who report malware or a backdoor
    trusted_reporters: int = 0  # those of them whom an administrator trusts


@dataclass(frozen=True)
class Rule:
    """A condition under which something is held back at once, and the reason that its owner reads."""

    name: str
    applies: Callable[[Facts], bool]
    reason: str
    finding: str = ""  # of the hub, upon which it applies


RULES = (
    Rule(
        "dangerous pickle", lambda facts: PICKLE in facts.findings,
        "A file in it is a pickle that can run code.", finding=PICKLE,
    ),
    Rule(
        "known-bad file", lambda facts: BLOCKED_FILE in facts.findings,
        "A file in it is on this hub's blocklist.",
        finding=BLOCKED_FILE,
    ),
    Rule(
        "live secret", lambda facts: LIVE_SECRET in facts.findings,
        "A file in it holds an access token of this hub that worked; the token was revoked.",
        finding=LIVE_SECRET,
    ),
    Rule(
        "trusted reports", lambda facts: facts.reporters >= 2 and facts.trusted_reporters >= 1,
        "Several people, one of them a trusted reporter, report that it attacks its users. A moderator reviews it.",
    ),
)  # fmt: skip


def rule_for(facts: Facts) -> Rule | None:
    """Return the first rule that applies."""
    return next((rule for rule in RULES if rule.applies(facts)), None)


def facts_of(case: Case) -> Facts:
    """Return what the rules need to know of a case; one query."""
    rows = case.reports.values_list("by_hub", "check_id", "reason", "reporter", "reporter__is_trusted_reporter")
    people = {
        reporter: bool(is_trusted)
        for by_hub, _, reason, reporter, is_trusted in rows
        if not by_hub and reporter is not None and reason in ATTACKS
    }
    findings = frozenset(check for by_hub, check, *_ in rows if by_hub)
    return Facts(findings, len(people), sum(people.values()))


def apply(case: Case) -> Rule | None:
    """Hold back what the case is about if a rule says so; return that rule if it changed something.

    Call it in the transaction that files a report. What a moderator has released is never held back by a rule again.
    """
    held = _what(case)
    rule = rule_for(facts_of(case)) if held is not None else None
    if held is None or rule is None or not withdrawals.hold(held, _reason(case, rule), case, finding=rule.finding):
        return None
    return rule


def _what(case: Case) -> Repository | Revision | None:
    """Return what a rule would hold back: the revision that a case names, else the whole repository."""
    if case.target in (Case.Target.REVISION, Case.Target.FILE):
        return case.revision
    return case.repository if case.target == Case.Target.REPOSITORY else None


def _reason(case: Case, rule: Rule) -> str:
    """Return the reason for the owner: what the hub found, if it found something, else the rule's own sentence."""
    finding = case.reports.filter(by_hub=True).exclude(text="").first() if rule.name != "trusted reports" else None
    return finding.text if finding else rule.reason
