"""A training run in the list of versions: one line that opens, without hiding what has a name."""

import re
from datetime import timedelta

from django.utils import timezone

from registry.models import Revision
from registry.publish import branches
from registry.repos import histories
from tests.api.conftest import pushed

PAGE = "/alice/run/commits/main"


def titles(page: str) -> list[str]:
    """Return the titles of the lines; those that open with one are marked."""
    rows = re.findall(r"<tr.*?</tr>", page.partition("<tbody")[2], re.DOTALL)
    more = [re.search(r"(\d+) more of this run", row) for row in rows]
    names = [re.findall(r"<bdi>(.*?)</bdi>", row) for row in rows]
    return [f"{name[0]} +{match[1]}" if match else name[0] for name, match in zip(names, more, strict=True)]


def test_a_run_is_one_line_and_versions_with_a_name_stand_alone(visit, cast):
    repository = cast.repository("alice/run")
    for n in range(1, 13):
        pushed(cast, repository, title=f"step {n * 100}", files={"a.txt": b"%d" % n})
    pushed(cast, repository, title="Write the card", files={"a.txt": b"end"})
    page = visit().get(PAGE).content.decode()
    assert titles(page) == ["Write the card", "step 1200 +11"]
    assert "step 300</bdi>" in page
    branches.create_ref(repository, "refs/tags/best", repository.revisions.get(title="step 500"), cast.session("alice"))
    named = titles(visit().get(PAGE).content.decode())
    assert named == ["Write the card", "step 1200 +6", "step 500", "step 400 +3"]


def test_a_page_of_a_flood_goes_on_where_it_ends(visit, cast):
    repository = cast.repository("alice/run")
    head = pushed(cast, repository, title="step 0", files={"a.txt": b"0"})
    for n in range(1, 700):
        head = Revision.objects.create(
            repository=repository, oid=f"{n:040x}", parent=head, title=f"step {n}", author=cast["alice"]
        )
    repository.refs.filter(name="refs/heads/main").update(revision=head)
    page = visit().get(PAGE).content.decode()
    assert titles(page) == ["step 699", "step 698 +598"]  # main has a name
    older = re.search(r'href="([^"]*)">Older versions', page)
    assert titles(visit().get(older[1]).content.decode()) == ["step 99 +99"]


def test_a_squashed_history_begins_with_a_version(visit, cast):
    repository = cast.repository("alice/run")
    pushed(cast, repository, title="first", files={"a.txt": b"1"})
    branches.squash(repository, "main", "All of it", cast.session("alice"))
    pushed(cast, repository, title="second", files={"a.txt": b"2"})
    page = visit().get(PAGE).content.decode()
    assert titles(page) == ["second", "All of it"]
    assert re.search(r"Versions\s*<span[^>]*>2<", page)


def test_what_is_no_run_is_not_collapsed(cast):
    repository = cast.repository("alice/run")
    now, alice, bob = timezone.now(), cast["alice"], cast["bob"]

    def line(*rows: tuple[str, object, int]) -> list[int]:
        history = [
            Revision(
                repository=repository, oid=f"{n:040x}", title=title, author=author, created_at=now - timedelta(hours=at)
            )
            for n, (title, author, at) in enumerate(rows)
        ]
        return [len(one.others) for one in histories.collapse(history, ())]

    assert line(*((f"step {n}", alice, n) for n in range(4))) == [3]
    assert line(*((f"step {n}", alice, n) for n in range(3))) == [0, 0, 0]
    assert line(*((f"step {n}", alice if n % 2 else bob, n) for n in range(4))) == [0] * 4
    assert line(*((f"step {n}", alice, n * 7) for n in range(4))) == [0] * 4
    assert line(*(("push", alice, n) for n in range(4))) == [0] * 4
    assert line(*((f"epoch {n}/10 loss 0.{n}", alice, n) for n in range(5))) == [4]
