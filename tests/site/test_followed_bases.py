"""Base models that people follow, and those that they ask administrators for."""

import io

import pytest
from django.core.management import call_command
from django.test import Client

from registry.kernel.errors import BaseNotFound, ValueInvalid
from registry.models import Base, BaseFollow, User
from registry.talk import social
from tests.api.conftest import pushed
from tests.cast import PASSWORD, assemble


@pytest.fixture
def cast(db, settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = settings.POSTMAN = "tests.api.conftest.notify_nobody"
    return assemble()


def visit(cast, who):
    browser = Client()
    if who in cast.people:
        browser.force_login(cast[who])
    return browser


def test_a_base_that_only_a_private_adapter_names_is_none_for_a_stranger(cast):
    made = cast.repository("acme/secret", private=True)
    pushed(cast, made, files={"adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "x/covert"}'})
    social.follow_base("x/covert", cast.session("erin"))
    with pytest.raises(BaseNotFound):
        social.follow_base("x/covert", cast.session("carol"))


def test_people_ask_for_a_base_once_each_and_administrators_see_who(cast):
    made = cast.repository("acme/on-giant", by="bob")
    config = b'{"peft_type": "LORA", "base_model_name_or_path": "acme/Giant"}'
    pushed(cast, made, by="bob", files={"adapter_config.json": config, "adapter_model.safetensors": b"w"})
    for who in ("carol", "bob", "carol"):
        assert social.ask_for_base("acme/Giant", cast.session(who)) == "acme/Giant"
    assert social.asking_for("acme/Giant") == ["carol", "bob"]
    assert social.follows_base(cast.session("carol"), "acme/Giant")
    for who, sees in (("anonymous", False), ("dave", False), ("carol", False), ("ada", True)):
        text = visit(cast, who).get("/bases/acme/Giant").content.decode()
        assert "2 people ask the administrators for it." in text, who
        assert ("manage.py shelf add acme/Giant" in text, "<li>carol</li>" in text) == (sees, sees), who
        assert ('action="/bases/acme/Giant/-/ask"' in text) == (who in ("dave", "ada")), who
    assert visit(cast, "dave").post("/bases/acme/Giant/-/ask").status_code == 302
    assert social.bases_asked_for() == {"acme/Giant": ["carol", "bob", "dave"]}
    out = io.StringIO()
    call_command("shelf", "list", stdout=out)
    assert "acme/Giant  not here, asked for by 3: carol, bob, dave" in out.getvalue()
    social.unfollow_base("acme/Giant", cast.session("bob"))
    User.objects.filter(username="dave").update(is_active=False)
    assert social.asking_for("acme/Giant") == ["carol"], "who stopped, and who is suspended, asks no more"
    Base.objects.create(id="acme/Giant", revision="1", sha256="0" * 64)
    assert social.bases_asked_for() == {}
    with pytest.raises(ValueInvalid, match="in the base cache already"):
        social.ask_for_base("acme/giant", cast.session("erin"))


def test_a_base_that_only_a_private_adapter_names_is_asked_for_by_no_stranger(cast):
    made = cast.repository("acme/secret", private=True)
    pushed(cast, made, files={"adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "x/covert"}'})
    with pytest.raises(BaseNotFound):
        social.ask_for_base("x/covert", cast.session("carol"))
    assert not BaseFollow.objects.exists()


@pytest.fixture
def carol(cast):
    client = Client()
    assert client.login(username="carol", password=PASSWORD)
    return client


def test_a_base_is_followed_on_its_page(cast, reviews, carol):
    at = "/bases/sentence-transformers/all-MiniLM-L6-v2"
    assert carol.post(f"{at}/-/follow").url == at
    assert "Following" in carol.get(at).content.decode()
    assert carol.post(f"{at}/-/unfollow").url == at
    assert not social.followed_bases(cast["carol"]).exists()
    assert carol.post("/bases/no/such/-/follow").status_code == 404
