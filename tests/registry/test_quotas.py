"""Quotas of people and organisations: what counts, what the hub's own limits are, who sets others, who is told."""

import io

import pytest
from django.core.management import call_command
from django.db.models import F
from django.test import Client

from registry.bytes import intake
from registry.kernel import quotas as kernel_quotas
from registry.kernel import site_settings, stored_bytes
from registry.kernel.errors import NamespaceNotFound, NotAllowed, QuotaExceeded, SessionRequired, ValueInvalid
from registry.kernel.quotas import Limits
from registry.models import AuditEvent, NamespaceQuota, Repository, RevisionFile
from registry.moderation import quarantine
from registry.people import quota_limits
from registry.people.provision import Plan
from registry.people.tokens import tokens
from registry.publish import branches, moves, push, repositories, retirement
from registry.repos import manifest, refs
from tests.api.conftest import cast, pushed

assert cast  # a fixture
FIRST = len(manifest.GITATTRIBUTES)  # what every new repository holds


@pytest.fixture(autouse=True)
def _fresh_settings():
    yield
    site_settings.clear_cache()


def held(full_name: str) -> int:
    """Return the counted bytes of a repository, which must be those of the distinct files of its revisions."""
    namespace, _, name = full_name.partition("/")
    row = Repository.with_binned.get(namespace__name=namespace, name=name)
    files = RevisionFile.objects.filter(revision__repository=row).order_by().values_list("blob", "size").distinct()
    assert row.stored_bytes == sum(size for _, size in files)
    return row.stored_bytes


def files(*sizes: int, first: str = "a") -> dict[str, bytes]:
    """Return files of these sizes, each of other bytes."""
    return {f"{chr(ord(first) + n)}.bin": bytes([ord(first) + n]) * size for n, size in enumerate(sizes)}


def set_limit(cast, name: str, size: int | None, repositories: int | None = None) -> bool:
    return quota_limits.change(
        name, cast.session("ada"), bytes=size, repositories=repositories, reason="Agreed by mail."
    )


# --- what counts -----------------------------------------------------------------------------------------------------
def test_each_file_counts_once_in_a_repository_however_it_comes_and_goes(cast):
    repository = cast.repository("alice/reviews")
    assert held("alice/reviews") == FIRST
    pushed(cast, repository, files=files(1000, 200))
    pushed(cast, repository, files={"copy": b"a" * 1000, "c.bin": b"c" * 30})
    assert held("alice/reviews") == FIRST + 1230
    repositories.duplicate(repository, "alice/second", cast.session("alice"))
    assert held("alice/second") == FIRST + 1230
    branches.squash(repository, "main", "", cast.session("alice"))
    assert held("alice/reviews") == FIRST + 1230
    moves.move(repository, "acme/reviews", cast.session("alice"))
    assert stored_bytes.bytes_used(cast.acme.namespace) == held("acme/reviews")
    quarantine.take_down(Repository.objects.get(name="reviews"), cast.session("mona"), reason="A secret.")
    assert held("acme/reviews") == 0


def test_files_that_are_taken_out_of_the_history_count_no_more(cast):
    repository = cast.repository("alice/reviews")
    alice = cast.session("alice")
    [weights] = intake.receive_inline(repository, b"w" * 5000)
    assert held("alice/reviews") == FIRST, "delivered, and not pushed yet"
    push.receive(push.Intent(repository, refs.MAIN, alice, "push"), [push.Stored("w.bin", weights.sha256)])
    assert held("alice/reviews") == FIRST + 5000
    [large] = repositories.large_files(repository, alice, limit=10)
    branches.forget_files(repository, [large.sha256], alice)
    assert held("alice/reviews") == FIRST


def test_a_wrong_count_is_told_and_corrected(cast):
    repository = cast.repository("alice/reviews")
    pushed(cast, repository, files=files(1000))
    cast.repository("alice/right")
    Repository.objects.filter(pk=repository.pk).update(stored_bytes=F("stored_bytes") - 400)

    def recounted(**options: bool) -> list[str]:
        printed = io.StringIO()
        call_command("recount_usage", stdout=printed, **options)
        return printed.getvalue().splitlines()

    assert recounted(dry_run=True) == ["model alice/reviews: +400 bytes", "1 counts would be corrected."]
    assert recounted() == ["model alice/reviews: +400 bytes", "1 counts corrected."]
    assert recounted() == ["Every count was right."]
    assert held("alice/reviews") == FIRST + 1000


def test_what_an_owner_holds_is_read_with_one_query(cast, django_assert_num_queries):
    for name in ("a", "b", "c"):
        pushed(cast, cast.repository(f"alice/{name}"), files=files(100, 50))
    with django_assert_num_queries(1):
        assert stored_bytes.bytes_used(cast["alice"].namespace) == 3 * (FIRST + 150)
    with django_assert_num_queries(2):
        assert kernel_quotas.usage_of(cast["alice"].namespace).repositories == 3
    with django_assert_num_queries(1):
        assert (
            next(row.get_absolute_url() for row in kernel_quotas.by_repository(cast["alice"].namespace)) == "/alice/a"
        )


def test_files_that_are_only_shared_use_nothing_and_alert_nobody(cast, settings):
    settings.QUOTA_BYTES = 100_000
    source, target = cast.repository("acme/source", by="bob"), cast.repository("alice/target")
    pushed(cast, source, files=files(70_000))
    shared = RevisionFile.objects.get(path="a.bin").blob_id
    assert repositories.share(source, target, [shared], cast.session("alice")) == {}
    assert held("alice/target") == FIRST
    set_limit(cast, "alice", 60_000)
    with pytest.raises(QuotaExceeded, match="this needs 70,000 more"):
        repositories.share(source, target, [shared], cast.session("alice"))


@pytest.mark.parametrize(("who", "limit"), [("erin", 2_000), ("dave", 0), ("carol", 2_000)])
def test_a_day_takes_twice_the_largest_quota_that_one_may_push_to(cast, settings, who, limit):
    settings.QUOTA_BYTES = 1_000
    set_limit(cast, "acme", 0)
    assert kernel_quotas.daily_limit(cast.session(who)) == limit, "erin only reads in acme, which has no limit"


# --- the hub's own limits --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("registration", ["open", "invite", "closed"])
def test_there_are_limits_of_themselves_where_strangers_may_join_alone(cast, registration):
    site_settings.change_setting("registration", registration, None)
    is_open = registration == "open"
    person, organization = cast["alice"].namespace, cast.acme.namespace
    assert kernel_quotas.limits_of(person) == (Limits(25 * 10**9, 1_000) if is_open else Limits(0, 0))
    assert kernel_quotas.limits_of(organization) == (Limits(10**11, 5_000) if is_open else Limits(0, 0))


def test_a_limit_that_the_operator_set_is_in_force_however_people_join(cast, settings):
    settings.QUOTA_BYTES, settings.QUOTA_REPOSITORIES = 0, 7
    assert kernel_quotas.limits_of(cast["alice"].namespace) == Limits(0, 7)
    site_settings.change_setting("registration", "closed", None)
    settings.QUOTA_BYTES = 1000
    assert kernel_quotas.limits_of(cast.acme.namespace) == Limits(1000, 7)


def test_what_lies_in_the_bin_counts_as_a_repository_too(cast, settings):
    settings.QUOTA_REPOSITORIES = 2
    first = cast.repository("alice/a")
    cast.repository("alice/b")
    repositories.delete(first, cast.session("alice"))
    with pytest.raises(QuotaExceeded, match="2 repositories, the limit"):
        cast.repository("alice/c")
    retirement.restore(first.pk, cast.session("alice"))
    repositories.delete(first, cast.session("alice"))
    retirement.purge(first.pk, cast.session("alice"))
    cast.repository("alice/c")


def test_a_refusal_has_the_numbers_and_the_way_and_leaves_nothing(cast, settings):
    settings.QUOTA_BYTES = FIRST + 1_500
    repository = cast.repository("acme/reviews")
    pushed(cast, repository, files=files(1000))
    before = (refs.resolve_ref(repository, "refs/heads/main"), RevisionFile.objects.count())
    with pytest.raises(QuotaExceeded) as refused:
        pushed(cast, repository, files=files(501, first="k"))
    words = refused.value.detail
    assert words == f"acme holds {FIRST + 1000:,} of {FIRST + 1500:,} bytes; this needs 501 more."
    assert "/organizations/acme/settings/usage" in refused.value.fix
    assert refused.value.facts == {"used": FIRST + 1000, "limit": FIRST + 1500, "asked": 501}
    assert (refs.resolve_ref(repository, "refs/heads/main"), RevisionFile.objects.count()) == before
    assert held("acme/reviews") == FIRST + 1000


def test_a_repository_that_moves_in_needs_room(cast, settings):
    repository = cast.repository("alice/reviews")
    pushed(cast, repository, files=files(1000))
    set_limit(cast, "acme", 900)
    with pytest.raises(QuotaExceeded, match="acme holds 0 of 900 bytes"):
        moves.move(repository, "acme/reviews", cast.session("alice"))
    assert stored_bytes.bytes_used(cast["alice"].namespace) == FIRST + 1000


# --- limits of one owner ---------------------------------------------------------------------------------------------
def test_an_administrator_gives_one_owner_more_and_the_owner_is_told(cast, settings):
    settings.QUOTA_BYTES, settings.QUOTA_REPOSITORIES = 1000, 3
    assert set_limit(cast, "ACME", 2_000_000_000)
    assert not set_limit(cast, "acme", 2_000_000_000)
    assert kernel_quotas.limits_of(cast.acme.namespace) == Limits(2_000_000_000, 3)
    assert kernel_quotas.limits_of(cast["alice"].namespace) == Limits(1000, 3)
    event = AuditEvent.objects.get(action="quota:change")
    assert (event.actor, event.object, event.reason) == ("ada", "acme", "Agreed by mail.")
    assert event.before == {"bytes": None, "repositories": None}
    assert event.after == {"bytes": 2_000_000_000, "repositories": None}
    assert [row.namespace.name for row in quota_limits.listed()] == ["acme"]
    set_limit(cast, "acme", None)
    assert kernel_quotas.limits_of(cast.acme.namespace).bytes == 1000
    assert not quota_limits.listed().exists()


def test_only_an_administrator_in_a_session_sets_limits(cast):
    for who in ("alice", "mona"):
        with pytest.raises(NotAllowed):
            quota_limits.change("acme", cast.session(who), bytes=1, repositories=None, reason="x")
    token = tokens.caller_of(cast.token("ada"))
    with pytest.raises(SessionRequired):
        quota_limits.change("acme", token, bytes=1, repositories=None, reason="x")
    with pytest.raises(NamespaceNotFound):
        set_limit(cast, "nobody", 1)
    for size, reason in ((-1, "x"), (2**63, "x"), (5, "  ")):
        with pytest.raises(ValueInvalid):
            quota_limits.change("acme", cast.session("ada"), bytes=size, repositories=None, reason=reason)
    assert not NamespaceQuota.objects.exists()


# --- alerts ----------------------------------------------------------------------------------------------------------


# --- pages and REST --------------------------------------------------------------------------------------------------
def client_of(cast, who: str) -> Client:
    client = Client()
    client.force_login(cast[who])
    return client


def test_limits_are_listed_with_the_use_of_all_owners_in_one_query(cast, django_assert_num_queries):
    pushed(cast, cast.repository("alice/reviews"), files=files(100))
    for name in ("alice", "bob", "acme"):
        set_limit(cast, name, 5_000, 7)
    with django_assert_num_queries(2):
        listed = {str(row.namespace): held for row, held in kernel_quotas.usage_of_each(quota_limits.listed())}
    assert {name: held.bytes for name, held in listed.items()} == {"alice": FIRST + 100, "bob": 0, "acme": 0}
    assert {(held.limit, held.repository_limit) for held in listed.values()} == {(5_000, 7)}
    assert listed["alice"] == kernel_quotas.usage_of(cast["alice"].namespace)


def test_use_is_shown_to_its_owners_on_the_page_and_by_rest(cast, settings):
    settings.QUOTA_BYTES = 100_000
    pushed(cast, cast.repository("acme/large"), files=files(83_000))
    cast.repository("acme/small")
    alice = client_of(cast, "alice")
    told = alice.get("/api/v1/organizations/acme/usage").json()
    assert (told["bytes"], told["limit"], told["repositories"]) == (83_000 + 2 * FIRST, 100_000, 2)
    assert [(row["name"], row["bytes"]) for row in told["largest"]] == [("large", 83_000 + FIRST), ("small", FIRST)]
    assert alice.get("/api/v1/me/usage").json()["bytes"] == 0
    reader = {"authorization": f"Bearer {cast.token('alice', 'read')}"}
    assert Client().get("/api/v1/organizations/acme/usage", headers=reader).json() == told
    page = alice.get("/organizations/acme/settings/usage").content.decode()
    assert "86 kB of 100 kB, 85 %: nearly full" in " ".join(page.split())
    for who in ("bob", "carol"):
        assert client_of(cast, who).get("/organizations/acme/settings/usage").status_code in {403, 404}
        assert client_of(cast, who).get("/api/v1/organizations/acme/usage").status_code in {403, 404}


def test_a_file_for_provision_sets_limits_once(cast):
    text = "organizations: [{name: acme, quota: {bytes: 5000000, repositories: none, reason: Agreed}}]"
    assert Plan(text).apply() == ["quota of acme: set"]
    assert Plan(text).apply() == []
    assert kernel_quotas.limits_of(cast.acme.namespace) == Limits(5_000_000, 0)
    with pytest.raises(ValueInvalid, match="quota: bytes must be a whole number or none"):
        Plan("users: [{name: alice, quota: {bytes: lots}}]").apply()
    with pytest.raises(ValueInvalid, match="reason"):
        Plan(f"users: [{{name: alice, quota: {{bytes: 1, reason: {'x' * 301}}}}}]").apply()
