"""Base models that people follow, and those that they ask administrators for."""

import io

import pytest
from django.core.management import call_command

from features.community import verbs
from registry.kernel.errors import BaseNotFound, ValueInvalid
from registry.models import Base, BaseFollow, User
from registry.repos import bases
from tests.api.conftest import pushed


def test_a_base_that_only_a_private_adapter_names_is_none_for_a_stranger(cast):
    made = cast.repository("acme/secret", private=True)
    pushed(cast, made, files={"adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "x/covert"}'})
    verbs.follow_base("x/covert", cast.session("erin"))
    with pytest.raises(BaseNotFound):
        verbs.follow_base("x/covert", cast.session("carol"))


def test_people_ask_for_a_base_once_each_and_administrators_see_who(visit, cast):
    made = cast.repository("acme/on-giant", by="bob")
    config = b'{"peft_type": "LORA", "base_model_name_or_path": "acme/Giant"}'
    pushed(cast, made, by="bob", files={"adapter_config.json": config, "adapter_model.safetensors": b"w"})
    for who in ("carol", "bob", "carol"):
        assert verbs.ask_for_base("acme/Giant", cast.session(who)) == "acme/Giant"
    assert bases.asking_for("acme/Giant") == ["carol", "bob"]
    assert verbs.follows_base(cast.session("carol"), "acme/Giant")
    for who, sees in (("anonymous", False), ("dave", False), ("carol", False), ("ada", True)):
        text = visit(who).get("/bases/acme/Giant").content.decode()
        assert "2 people ask the administrators for it." in text, who
        assert ("manage.py shelf add acme/Giant" in text, "<li>carol</li>" in text) == (sees, sees), who
        assert ('action="/bases/acme/Giant/-/ask"' in text) == (who in ("dave", "ada")), who
    assert visit("dave").post("/bases/acme/Giant/-/ask").status_code == 302
    assert bases.asked_for() == {"acme/Giant": ["carol", "bob", "dave"]}
    out = io.StringIO()
    call_command("shelf", "list", stdout=out)
    assert "acme/Giant  not here, asked for by 3: carol, bob, dave" in out.getvalue()
    verbs.unfollow_base("acme/Giant", cast.session("bob"))
    User.objects.filter(username="dave").update(is_active=False)
    assert bases.asking_for("acme/Giant") == ["carol"], "who stopped, and who is suspended, asks no more"
    Base.objects.create(id="acme/Giant", revision="1", sha256="0" * 64)
    assert bases.asked_for() == {}
    with pytest.raises(ValueInvalid, match="in the base cache already"):
        verbs.ask_for_base("acme/giant", cast.session("erin"))


def test_a_base_that_only_a_private_adapter_names_is_asked_for_by_no_stranger(cast):
    made = cast.repository("acme/secret", private=True)
    pushed(cast, made, files={"adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "x/covert"}'})
    with pytest.raises(BaseNotFound):
        verbs.ask_for_base("x/covert", cast.session("carol"))
    assert not BaseFollow.objects.exists()


def test_a_base_is_followed_on_its_page(visit, cast, reviews):
    carol = visit("carol")
    at = "/bases/sentence-transformers/all-MiniLM-L6-v2"
    assert carol.post(f"{at}/-/follow").url == at
    assert "Following" in carol.get(at).content.decode()
    assert carol.post(f"{at}/-/unfollow").url == at
    assert not verbs.followed_bases(cast["carol"]).exists()
    assert carol.post("/bases/no/such/-/follow").status_code == 404


def test_a_base_is_followed_and_no_more(ask, reviews):
    base = "sentence-transformers/all-MiniLM-L6-v2"
    here, carol = f"/api/v1/me/bases/{base}", ask("carol", "write")
    assert carol.get(here).json() == {"base": base, "following": False}
    assert carol.put(here).json() == {"base": base, "following": True}
    assert carol.put(here).status_code == 200
    assert carol.get("/api/v1/me/bases").json()["items"] == [{"base": base, "following": True}]
    assert ask("bob").get("/api/v1/me/bases").json()["items"] == []
    assert ask("carol", "read").delete(here).status_code == 403
    assert carol.delete(here).json() == {"base": base, "following": False}
    assert not BaseFollow.objects.exists()
    assert carol.put("/api/v1/me/bases/no/such").status_code == 404
    for method in (ask().get, ask().put, ask().delete):
        assert method(here).status_code == 401
