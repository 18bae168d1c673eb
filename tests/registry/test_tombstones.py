"""A repository that moderators removed: as if it had never been, or a tombstone, by a setting; its name stays taken."""

import pytest
from django.test import Client

from registry.kernel import site_settings
from registry.kernel.errors import NameReserved, RepositoryExists
from registry.models import Case, Repository
from registry.moderation import quarantine
from registry.publish import moves, repositories, retirement
from tests.of_features import rows as of_features
from tests.sweep import at_merge, sweep

REASON = "It sends what it reads to its author."
WIRE = (
    "/api/models/acme/gone", "/api/models/acme/gone/tree/main", "/acme/gone/resolve/main/README.md",
    *(path.replace("{id}", "acme/gone") for path in of_features("READING")),
)  # fmt: skip


@pytest.fixture
def told(settings):
    settings.FIRST_TOMBSTONES = "on"
    site_settings.clear_cache()


def removed(cast, *, private: bool = False, category: str = "malware") -> Repository:
    """acme/gone, removed because of a case."""
    repository = cast.repository("acme/gone", private=private)
    case = Case.objects.create(
        target=Case.Target.REPOSITORY, key=f"adapter:{repository.pk}", label="acme/gone", repository=repository,
        namespace=repository.namespace, reason=category, severity=3,
    )  # fmt: skip
    quarantine.take_down(repository, cast.session("mona"), reason=REASON, case=case)
    return repository


def asks(cast, path: str, who: str = "") -> tuple[int, str]:
    headers = {"authorization": f"Bearer {cast.token(who)}"} if who else {}
    answer = Client().get(path, headers=headers)
    return answer.status_code, answer.content.decode()


@pytest.mark.parametrize("path", [*WIRE, "/api/v1/adapters/acme/gone", "/acme/gone"])
def test_by_default_it_is_for_strangers_as_if_it_had_never_been(cast, path):
    removed(cast)
    status, text = asks(cast, path)
    assert status in {401, 404}
    assert "removed" not in text.lower()
    assert status == asks(cast, path.replace("gone", "gome"))[0]


@pytest.mark.usefixtures("told")
@sweep("who", ["", "carol", "erin", "mona"])
@pytest.mark.parametrize(
    "path", [WIRE[0], "/api/v1/adapters/acme/gone", "/acme/gone", *at_merge(*WIRE[1:], "/acme/gone/tree/main")]
)
def test_where_the_hub_says_so_strangers_read_day_and_category_and_not_the_sentence(cast, path, who):
    repository = removed(cast)
    day = f"{repository.decisions.get().at:%-d %B %Y}"
    status, text = asks(cast, path, who)
    assert status == 410
    assert f"acme/gone was removed by moderators on {day}: Malware." in text
    assert REASON not in text


@pytest.mark.usefixtures("told")
def test_rest_gives_the_code_the_day_and_the_category(cast):
    repository = removed(cast)
    answer = Client().get("/api/v1/adapters/acme/gone").json()
    day = f"{repository.decisions.get().at:%Y-%m-%d}"
    assert (answer["code"], answer["removed_at"], answer["category"]) == ("adapter-removed", day, "malware")


@pytest.mark.usefixtures("told")
def test_its_writers_read_the_sentence_as_before(cast):
    removed(cast)
    status, text = asks(cast, "/api/models/acme/gone", "bob")
    assert status == 403
    assert REASON in text


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("path", [*WIRE, "/acme/gone"])
def test_nothing_is_told_of_what_was_private_or_is_held_for_now(cast, path):
    removed(cast, private=True)
    held = cast.repository("acme/held")
    quarantine.quarantine(held, cast.session("mona"), reason=REASON)
    for name in ("gone", "held"):
        status, text = asks(cast, path.replace("gone", name))
        assert status == asks(cast, path.replace("gone", "gome"))[0] != 410
        assert "removed" not in text.lower()


@pytest.mark.usefixtures("told")
def test_a_page_of_the_tombstone_is_a_page(cast):
    removed(cast)
    answer = Client().get("/acme/gone")
    assert "410.html" in [template.name for template in answer.templates]


def test_nobody_gets_the_name_not_even_its_owner(cast):
    removed(cast)
    alice, other = cast.session("alice"), cast.repository("acme/other")
    repositories.delete(cast.repository("acme/third"), alice)
    with pytest.raises(RepositoryExists):
        cast.repository("acme/Gone")
    with pytest.raises(RepositoryExists):
        moves.move(other, "acme/gone", alice)
    with pytest.raises(RepositoryExists):
        retirement.restore(Repository.with_binned.get(name="third").pk, alice, "gone")


def test_nobody_gets_the_name_of_what_was_removed_in_the_bin(cast):
    repository, alice = cast.repository("acme/gone"), cast.session("alice")
    repositories.delete(repository, alice)
    quarantine.take_down(Repository.with_binned.get(pk=repository.pk), cast.session("mona"), reason=REASON)
    other = cast.repository("acme/other")
    with pytest.raises(NameReserved, match="Moderators removed acme/Gone"):
        cast.repository("acme/Gone")
    with pytest.raises(NameReserved):
        moves.move(other, "acme/gone", alice)
    assert cast.repository("acme/gone", type="dataset").name == "gone", "another kind of repository is another name"
