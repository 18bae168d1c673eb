"""Every privileged service leaves exactly one event, with who, what it concerns, and the state before and after.

A service that records an action without a line here, in `tests/audited.py` of a feature, or in PROVEN_ELSEWHERE, makes
this fail.
"""

import ast
import io
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.utils import timezone
from PIL import Image

import features
from registry.kernel import audit, site_settings
from registry.models import AuditEvent, Base, OutboxEvent, Repository, Team, Token, User
from registry.moderation import quarantine, suspension
from registry.people import accounts, gates, name_rules, profiles, quota_limits, sign_ins
from registry.people.organizations import invitations, join_links, organizations, teams
from registry.people.tokens import tokens
from registry.proof.verdicts import requests
from registry.proof.verified import aliases, verified, withdrawals
from registry.publish import branches, moves, repositories, retirement
from registry.repos import bases, refs
from registry.talk import dispatch
from tests.api.conftest import judged, pushed, regressed
from tests.cast import PASSWORD, Cast
from tests.sweep import sweep
from workers import base_cache

Act = Callable[[], object]
ROOT = Path(__file__).resolve().parents[2]
WHY = {"reason": "It steals credentials."}


@pytest.fixture(autouse=True)
def _quiet_hub(settings: Any, tmp_path: Path) -> None:
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"


def repository(cast: Cast, **options: Any) -> Repository:
    return cast.repository("acme/x", **options)


def alice(cast: Cast) -> Any:
    return cast.session("alice")


def mona(cast: Cast) -> Any:
    return cast.session("mona")


def ada(cast: Cast) -> Any:
    return cast.session("ada")


# Each prepares what the act needs, and returns the act.
def create(cast: Cast) -> Act:
    return lambda: repository(cast)


def delete(cast: Cast) -> Act:
    row = repository(cast)
    return lambda: repositories.delete(row, alice(cast))


def restore(cast: Cast) -> Act:
    row = repository(cast)
    repositories.delete(row, alice(cast))
    return lambda: retirement.restore(row.pk, alice(cast))


def purge(cast: Cast) -> Act:
    row = repository(cast)
    repositories.delete(row, alice(cast))
    return lambda: retirement.purge(row.pk, alice(cast))


def archive(cast: Cast) -> Act:
    row = repository(cast)
    return lambda: retirement.archive(row, alice(cast))


def deprecate(cast: Cast) -> Act:
    row = repository(cast)
    return lambda: retirement.deprecate(row, alice(cast), "Old labels.")


def yank(cast: Cast) -> Act:
    revision = pushed(cast, repository(cast))
    return lambda: withdrawals.yank(revision, alice(cast), "Wrong labels.")


def alias_deed(verb: str) -> Callable[[Cast], Act]:
    def scenario(cast: Cast) -> Act:
        row, forced = repository(cast), {"reason": "A trial.", "force": True}
        first, second = pushed(cast, row), pushed(cast, row, files={"README.md": b"# Two"})
        aliases.set_alias(row, "prod", first, alice(cast), **forced)
        if verb == "set":
            return lambda: aliases.set_alias(row, "prod", second, alice(cast), **forced)
        if verb == "remove":
            return lambda: aliases.remove_alias(row, "prod", alice(cast))
        aliases.set_alias(row, "prod", second, alice(cast), **forced)
        return lambda: aliases.roll_back(row, "prod", alice(cast))

    return scenario


def unyank(cast: Cast) -> Act:
    revision = pushed(cast, repository(cast))
    withdrawals.yank(revision, alice(cast), "Wrong labels.")
    return lambda: withdrawals.unyank(revision, alice(cast))


def regression_deed(verb: str) -> Callable[[Cast], Act]:
    def scenario(cast: Cast) -> Act:
        reason = "The new rows are harder."
        revision = regressed(cast, repository(cast))
        if verb == "withdraw":
            verified.override(revision, alice(cast), reason)
            return lambda: verified.withdraw(revision, alice(cast))
        return lambda: verified.override(revision, alice(cast), reason)

    return scenario


def visibility(cast: Cast) -> Act:
    row = repository(cast)
    return lambda: repositories.set_private(row, True, alice(cast))


def gate(cast: Cast) -> Act:
    row = repository(cast)
    return lambda: gates.set_gate(row, "manual", alice(cast))


def gated(cast: Cast) -> Repository:
    row = repository(cast)
    gates.set_gate(row, "manual", alice(cast))
    return row


def ask_access(cast: Cast) -> Act:
    row = gated(cast)
    return lambda: gates.request_access(row, cast.session("carol"), "For research.")


def decide_access(cast: Cast) -> Act:
    row = gated(cast)
    gates.request_access(row, cast.session("carol"), "For research.")
    return lambda: gates.decide_request(row, "accepted", alice(cast), username="carol")


def grant_access(cast: Cast) -> Act:
    row = gated(cast)
    return lambda: gates.grant_access(row, "carol", alice(cast))


def move(cast: Cast) -> Act:
    row = repository(cast)
    return lambda: moves.move(row, "acme/y", alice(cast))


def squash(cast: Cast) -> Act:
    row = repository(cast)
    pushed(cast, row)
    return lambda: branches.squash(row, "main", "One", alice(cast))


def forget(cast: Cast) -> Act:
    row = repository(cast)
    revision = pushed(cast, row)
    file = revision.files.get(path="README.md")
    revision.files.filter(pk=file.pk).update(is_lfs=True)  # as if it had come by Git LFS
    return lambda: branches.forget_files(row, [file.sha256], alice(cast))


def duplicate(cast: Cast) -> Act:
    row = repository(cast)
    return lambda: repositories.duplicate(row, "alice/copy", alice(cast))


def delete_ref(cast: Cast) -> Act:
    row = repository(cast)
    branches.create_ref(row, "refs/heads/side", refs.resolve_ref(row, refs.MAIN), alice(cast))
    return lambda: branches.delete_ref(row, "refs/heads/side", alice(cast))


def hold(cast: Cast) -> Act:
    row = repository(cast)
    return lambda: quarantine.quarantine(row, mona(cast), **WHY)


def take_down(cast: Cast) -> Act:
    row = repository(cast)
    return lambda: quarantine.take_down(row, mona(cast), **WHY)


def release(cast: Cast) -> Act:
    row = repository(cast)
    quarantine.quarantine(row, mona(cast), **WHY)
    return lambda: quarantine.release(row, mona(cast), **WHY)


def hold_revision(cast: Cast) -> Act:
    row = repository(cast)
    revision = pushed(cast, row)
    return lambda: quarantine.quarantine(row, mona(cast), revision=revision, **WHY)


def suspend(cast: Cast) -> Act:
    return lambda: suspension.suspend(cast["carol"], mona(cast), **WHY)


def unsuspend(cast: Cast) -> Act:
    suspension.suspend(cast["carol"], mona(cast), **WHY)
    cast["carol"].refresh_from_db()
    return lambda: suspension.unsuspend(cast["carol"], mona(cast), **WHY)


def picture(cast: Cast) -> Act:
    drawn = io.BytesIO()
    Image.new("RGB", (64, 64), "green").save(drawn, "PNG")
    return lambda: profiles.set_avatar(cast["alice"], drawn.getvalue())


def new_link(cast: Cast) -> Act:
    return lambda: join_links.create(join_links.Terms(), ada(cast))


def revoke_link(cast: Cast) -> Act:
    join_links.create(join_links.Terms(), ada(cast))
    link = join_links.list_open(ada(cast)).get()
    return lambda: join_links.revoke(link.pk, ada(cast))


def request_verdict(cast: Cast) -> Act:
    revision = pushed(cast, repository(cast))
    verdict = judged(revision, "failed")
    assert verdict.state == "failed"
    return lambda: requests.again(revision, cast["alice"])


def revoke_token(cast: Cast) -> Act:
    cast.token("alice")
    return lambda: tokens.revoke_token(cast["alice"], Token.objects.get().pk)


def set_ci_token(cast: Cast, role: str) -> bool:
    return tokens.set_token(cast["alice"], "ci", role, value="dvt_a_value_that_is_long", expires_at=None, grants={})


def change_token(cast: Cast) -> Act:
    set_ci_token(cast, "read")
    return lambda: set_ci_token(cast, "write")


def withdraw(cast: Cast) -> Act:
    invitations.invite("acme", "carol", "read", alice(cast))
    return lambda: invitations.withdraw("acme", "carol", alice(cast))


def decline(cast: Cast) -> Act:
    invitations.invite("acme", "carol", "read", alice(cast))
    return lambda: invitations.decline("acme", cast.session("carol"))


def delete_organization(cast: Cast) -> Act:
    organizations.create_organization("gone", by=cast["alice"])
    return lambda: organizations.delete_organization("gone", alice(cast))


def alias(cast: Cast) -> Act:
    Base.objects.create(id="tiny/base", sha256="0" * 64)
    return lambda: bases.add_alias("tiny/other", "tiny/base")


def unalias(cast: Cast) -> Act:
    Base.objects.create(id="tiny/base", sha256="0" * 64)
    bases.add_alias("tiny/other", "tiny/base")
    return lambda: bases.remove_alias("tiny/other")


def license_base(cast: Cast) -> Act:
    Base.objects.create(id="tiny/base", sha256="0" * 64)
    return lambda: bases.set_license("tiny/base", "mit")


def serve_base(cast: Cast) -> Act:
    Base.objects.create(id="tiny/base", sha256="0" * 64)
    return lambda: base_cache.set_serve("tiny/base", "members")


def free_name(cast: Cast) -> Act:
    name_rules.add("corp-*", "reserved", "any", cast["ada"])
    rule = name_rules.listed().get()
    return lambda: name_rules.remove(rule.pk, cast["ada"])


def on_team(change: Callable[[Team, User], object]) -> Callable[[Cast], Act]:
    """Prepare a team of acme for a change of it by alice."""

    def prepare(cast: Cast) -> Act:
        team = teams.create_team(cast.acme, "ner", by=cast["alice"])
        return lambda: change(team, cast["alice"])

    return prepare


def remove_second_factors(cast: Cast) -> Act:
    Authenticator.objects.create(user=cast["alice"], type=Authenticator.Type.TOTP, data={"secret": "x"})
    return lambda: sign_ins.remove_all(cast["alice"], cast.session("ada"), **WHY)


def require_factor(cast: Cast) -> Act:
    Authenticator.objects.create(user=cast["alice"], type=Authenticator.Type.TOTP, data={"secret": "x"})
    return lambda: organizations.require_second_factor(cast.acme, True, alice(cast))


def retry_event(cast: Cast) -> Act:
    repository(cast)
    event = OutboxEvent.objects.latest("pk")
    OutboxEvent.objects.filter(pk=event.pk).update(given_up_at=timezone.now())
    return lambda: dispatch.retry(event, cast["ada"])


SERVICES: dict[str, Callable[[Cast], Act]] = {
    "adapter:create": create,
    "adapter:delete": delete,
    "adapter:restore": restore,
    "adapter:purge": purge,
    "adapter:archive": archive,
    "adapter:deprecation": deprecate,
    "revision:yank": yank,
    "revision:unyank": unyank,
    "regression:override": regression_deed("override"),
    "regression:withdraw": regression_deed("withdraw"),
    "alias:set": alias_deed("set"),
    "alias:rollback": alias_deed("rollback"),
    "alias:remove": alias_deed("remove"),
    "adapter:visibility": visibility,
    "adapter:gate": gate,
    "adapter:move": move,
    "adapter:squash": squash,
    "adapter:forget-files": forget,
    "adapter:delete-ref": delete_ref,
    "adapter:quarantine": hold,
    "adapter:release": release,
    "adapter:takedown": take_down,
    "revision:quarantine": hold_revision,
    "access:ask": ask_access,
    "access:decide": decide_access,
    "access:grant": grant_access,
    "verdict:request": request_verdict,
    "token:create": lambda cast: lambda: cast.token("alice"),
    "token:change": change_token,
    "token:revoke": revoke_token,
    "account:sign-in": lambda cast: lambda: sign_ins.record(cast["alice"], ["password"]),
    "account:sign-in-link": lambda cast: lambda: sign_ins.make(cast["ada"]),
    "account:factors-remove": remove_second_factors,
    "account:sign-in-failed": lambda cast: lambda: sign_ins.record_failure("alice", count=1, from_address=1),
    "person:register": lambda cast: lambda: accounts.register("zoe", password=PASSWORD),
    "person:profile": lambda cast: lambda: accounts.set_profile(cast["alice"], full_name="Al", by=cast["alice"]),
    "person:password": lambda cast: lambda: accounts.set_password(cast["alice"], f"{PASSWORD}!", by=cast["alice"]),
    "person:email": lambda cast: (
        lambda: profiles.set_address(cast["alice"], "a@example.org", verified=True, by=cast["alice"])
    ),
    "person:email-confirm": lambda cast: lambda: profiles.confirm(cast["alice"], "b@example.org"),
    "person:role": lambda cast: lambda: accounts.set_role(cast["carol"], "moderator", by=ada(cast)),
    "person:suspend": suspend,
    "person:unsuspend": unsuspend,
    "person:delete": lambda cast: lambda: retirement.delete_account(cast["carol"], with_repositories=False),
    "person:avatar": picture,
    "join-link:create": new_link,
    "join-link:revoke": revoke_link,
    "organization:create": lambda cast: lambda: organizations.create_organization("new-one", by=cast["alice"]),
    "organization:change": lambda cast: (
        lambda: organizations.change_organization(cast.acme, full_name="A", private_by_default=True, by=cast["alice"])
    ),
    "organization:member": lambda cast: (
        lambda: organizations.set_member(cast.acme, cast["bob"], "read", by=cast["alice"])
    ),
    "organization:second-factor": require_factor,
    "organization:invite": lambda cast: lambda: invitations.invite("acme", "carol", "read", alice(cast)),
    "organization:withdraw": withdraw,
    "organization:decline": decline,
    "organization:rename": lambda cast: lambda: moves.rename("acme", "acme2", alice(cast)),
    "organization:delete": delete_organization,
    "team:create": lambda cast: lambda: teams.create_team(cast.acme, "ner", by=cast["alice"]),
    "team:change": on_team(lambda team, by: teams.change_team(team, full_name="Names", by=by)),
    "team:delete": on_team(lambda team, by: teams.delete_team(team, by=by)),
    "team:member": on_team(lambda team, by: teams.add_member(team, User.objects.get(username="erin"), by=by)),
    "quota:change": lambda cast: lambda: quota_limits.change("acme", ada(cast), bytes=10**9, repositories=None, **WHY),
    "team:grant": on_team(lambda team, by: teams.set_grant(team, "ner-*", "write", by=by)),
    "base:alias": alias,
    "base:unalias": unalias,
    "base:license": license_base,
    "base:serve": serve_base,
    "name:rule": lambda cast: lambda: name_rules.add("corp-*", "reserved", "any", cast["ada"]),
    "name:free": free_name,
    "site:change": lambda cast: lambda: site_settings.change_setting("uploads", "off", cast["ada"]),
    "site:banner": lambda cast: lambda: site_settings.change_banner(site_settings.Banner("Tonight."), cast["ada"]),
    "outbox:retry": retry_event,
}
PROVEN_ELSEWHERE: dict[str, str] = {}
# An act that does something else first leaves the event of that too; acts of which nothing changes in a row have no
# state before or after.
TWO: dict[str, tuple[Callable[[Cast], Act], list[str]]] = {
    "adapter:duplicate": (duplicate, ["adapter:create", "adapter:duplicate"]),
}
STATELESS = {
    "account:sign-in-link",
    "person:password",
    "sign-in:approved",
    "sign-in:denied",
    "base:unalias",
    "outbox:retry",
}
for audited in Path(features.__file__).parent.glob("*/tests/audited.py"):  # of features, as SERVICES there
    if (name := audited.parts[-3]) in features.FEATURES:
        module = import_module(f"features.{name}.tests.audited")
        SERVICES |= module.SERVICES
        PROVEN_ELSEWHERE |= getattr(module, "PROVEN_ELSEWHERE", {})
        TWO |= getattr(module, "TWO", {})
        STATELESS |= getattr(module, "STATELESS", set())


def assert_recorded(action: str, act: Act) -> None:
    """Do the act: it leaves one event of this action, with its state."""
    audit.request_id.set("the-request")
    before = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    act()
    [event] = AuditEvent.objects.filter(pk__gt=before)
    assert event.action == action
    assert event.object
    assert event.request_id == "the-request"
    assert event.mac
    assert action in STATELESS or event.before is not None or event.after is not None
    assert PASSWORD not in str((event.before, event.after, event.note, event.object))
    assert event.actor


@sweep("action", SERVICES)
def test_a_service_leaves_one_event_with_its_state(cast: Cast, action: str) -> None:
    assert_recorded(action, SERVICES[action](cast))


@pytest.mark.parametrize("action", TWO)
def test_a_service_that_uses_another_one_leaves_both_events(cast: Cast, action: str) -> None:
    prepare, expected = TWO[action]
    act = prepare(cast)
    before = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    act()
    assert list(AuditEvent.objects.filter(pk__gt=before).order_by("pk").values_list("action", flat=True)) == expected


def recorded_actions(*boxes: str) -> set[str]:
    """Return the second argument of each call of audit.record; of an f-string its fixed beginning, up to a brace."""
    actions = set()
    for file in (path for box in boxes for path in ROOT.glob(f"{box}/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "audit.record"):
                continue
            action = node.args[1]
            options = [action.body, action.orelse] if isinstance(action, ast.IfExp) else [action]
            for option in options:
                if isinstance(option, ast.Constant):
                    actions.add(str(option.value))
                elif isinstance(option, ast.JoinedStr) and isinstance(option.values[0], ast.Constant):
                    actions.add(str(option.values[0].value))
    return actions


def test_every_recorded_action_has_a_line_here() -> None:
    known = {*SERVICES, *TWO, *PROVEN_ELSEWHERE}
    unknown = {
        action
        for action in recorded_actions("features", "registry", "hub", "workers")
        if action not in known and not any(action.startswith(beginning) for beginning in PROVEN_ELSEWHERE)
        if not (action.endswith(":") and any(name.startswith(action) for name in known))
    }
    assert unknown == set(), "add the service to SERVICES"


def test_what_is_proven_elsewhere_is_asserted_there() -> None:
    for action, file in PROVEN_ELSEWHERE.items():
        assert f'"{action}' in (ROOT / file).read_text(), action
