"""Our REST below a path: every address that it answers begins with the path that the hub is mounted below."""

from urllib.parse import urlsplit

import pytest
from django.urls import get_resolver, reverse, set_script_prefix

from tests.api.conftest import pushed

REPOSITORY = "/api/v1/adapters/alice/reviews"


@pytest.fixture
def mounted(settings):
    """The hub below /hub, as a proxy has it that takes this prefix off."""
    settings.FORCE_SCRIPT_NAME, settings.PUBLIC_URL = "/hub", "http://127.0.0.1:8000/hub"
    settings.STORAGES = {**settings.STORAGES}  # which forgets the address of static files here, and after
    set_script_prefix("/hub/")
    yield "/hub"
    set_script_prefix("/")


def path_of(address: str) -> str:
    return urlsplit(address).path


def test_the_next_page_is_below_the_path(mounted, ask, cast, repository):
    pushed(cast, repository, title="again", files={"notes.txt": b"x"})
    first = ask().get(f"{REPOSITORY}/revisions?limit=1").json()
    assert path_of(first["next"]) == f"{mounted}{REPOSITORY}/revisions"
    next = urlsplit(first["next"])
    second = ask().get(f"{next.path.removeprefix(mounted)}?{next.query}").json()
    assert [item["title"] for item in first["items"] + second["items"]][:2] == ["again", "push"]


def test_the_bytes_of_a_file_are_below_the_path(mounted, ask, repository):
    answer = ask().get(f"{REPOSITORY}/revisions/main/files/README.md")
    assert answer.status_code == 302
    assert path_of(answer["Location"]).startswith(f"{mounted}/alice/reviews/resolve/")
    assert b"".join(ask().get(path_of(answer["Location"]).removeprefix(mounted))).startswith(b"---")


def test_a_refusal_points_below_the_path(mounted, ask, cast):
    for method, address in (("GET", "/api/v1/nowhere"), ("DELETE", "/api/v1/adapters"), ("POST", "/api/v1/me/tokens")):
        answer = ask("alice").generic(method, address, "{}", content_type="application/json")
        assert f"{mounted}/api/v1/" in answer.json()["fix"], answer.json()


def test_every_route_of_the_interface_has_a_name_and_can_be_written_from_it():
    routes = [pattern for pattern in get_resolver("hub.api.urls").url_patterns if str(pattern.pattern)]
    assert [pattern for pattern in routes if not pattern.name] == []
    assert len({pattern.name for pattern in routes}) == len(routes)
    assert reverse("rest-revision", kwargs={"ns": "a", "name": "b", "rev": "refs/pr/1"}) == (
        "/api/v1/adapters/a/b/revisions/refs/pr/1"
    )
