"""The bin on the website: restoring is a form, deleting for good asks again who it is."""

from urllib.parse import parse_qs, urlsplit

from django.test import Client

from registry.kernel import site_settings
from registry.models import Repository, User
from registry.publish import repositories
from tests.cast import PASSWORD


def binned(cast) -> Repository:
    repository = cast.repository("alice/reviews")
    repositories.delete(repository, cast.session("alice"))
    return repository


def in_an_old_session() -> Client:
    """Return a browser in which alice entered no password lately."""
    client = Client()
    client.force_login(User.objects.get(username="alice"))
    return client


def signed_in(visit, name: str = "alice"):
    """Return a browser that has just given the password."""
    client = visit()
    client.post("/login", {"username": name, "password": PASSWORD})
    return client


def test_deletion_for_good_asks_for_the_password_first(visit, cast):
    number = binned(cast).pk
    address, form = f"/settings/repositories/{number}/delete", {"confirm": "alice/reviews"}
    old = in_an_old_session()
    asked = old.post(address, form, headers={"referer": "http://testserver/settings/repositories"})
    page = asked.headers["Location"]
    assert page.startswith("/settings/security/confirm?next=")
    assert Repository.with_binned.filter(pk=number).exists()
    wrong = signed_in(visit).post(address, {"confirm": "alice/other"})
    assert wrong.status_code == 400
    following = parse_qs(urlsplit(page).query)["next"][0]
    done = old.post(page, {"password": PASSWORD, "next": following}, follow=True)
    assert "/settings/repositories" in [step for step, _ in done.redirect_chain], "what was sent goes on by itself"
    assert not Repository.with_binned.filter(pk=number).exists()


def test_others_are_asked_nothing_and_delete_nothing(visit, cast):
    number = binned(cast).pk
    for name in ("carol", "mona"):
        assert signed_in(visit, name).post(f"/settings/repositories/{number}/delete").status_code == 404
    assert visit().post(f"/settings/repositories/{number}/delete").url.startswith("/login")
    assert Repository.with_binned.filter(pk=number).exists()


def test_restoring_and_filling_the_bin_ask_for_nothing(visit, cast):
    number = binned(cast).pk
    client = visit("alice")
    assert client.post(f"/settings/repositories/{number}/restore", {"name": "reviews"}).url == "/alice/reviews"
    assert client.post("/alice/reviews/settings/delete", {"confirm": "alice/reviews"}).url == "/alice"


def test_without_a_bin_each_deletion_is_for_good(visit, cast):
    cast.repository("alice/reviews")
    site_settings.change_setting("bin_days", "0", cast["ada"])
    form = {"confirm": "alice/reviews"}
    asked = in_an_old_session().post("/alice/reviews/settings/delete", form)
    assert "/settings/security/confirm" in asked.headers["Location"]
    assert Repository.objects.filter(name="reviews").exists()
    assert signed_in(visit).post("/alice/reviews/settings/delete", form).url == "/alice"
    assert not Repository.with_binned.filter(name="reviews").exists()
