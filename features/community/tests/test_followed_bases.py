"""Base models that people follow, and those that they ask administrators for."""

import io
import re

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
        text = text.replace("<wbr>", "")
        assert ("manage.py shelf add acme/Giant" in text, "carol, bob" in text) == (sees, sees), who
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
    with pytest.raises(ValueInvalid, match="already available on this hub"):
        verbs.ask_for_base("acme/giant", cast.session("erin"))


def test_a_base_that_only_a_private_adapter_names_is_as_unknown_to_a_stranger_as_any(visit, cast):
    made = cast.repository("acme/secret", private=True)
    pushed(cast, made, files={"adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "x/covert"}'})
    verbs.ask_for_base("x/covert", cast.session("alice"))
    pages = []
    for base in ("x/covert", "x/nobody"):
        answer = visit("carol").get(f"/bases/{base}")
        pages.append((answer.status_code, re.sub(r'value="\w{64}"', "", answer.content.decode()).replace(base[2:], "")))
        assert verbs.ask_for_base(base, cast.session("carol")) == base
    assert pages[0] == pages[1]
    assert pages[0][0] == 404
    assert "2 people ask" in visit("alice").get("/bases/x/covert").content.decode()
    for who in ("anonymous", "carol"):
        assert "people ask" not in visit(who).get("/bases/x/covert").content.decode(), who


def test_anybody_signed_in_asks_for_a_base_that_nothing_names_and_for_twenty_at_most(visit, cast, monkeypatch):
    monkeypatch.setattr(verbs, "MAX_ASKED", 2)
    dave, at = visit("dave"), "/bases/new/Model"
    assert 'action="/bases/new/Model/-/ask"' in dave.get(at).content.decode()
    assert "/login?next=%2Fbases%2Fnew%2FModel" in visit().get(at).content.decode()
    assert visit().post(f"{at}/-/ask").status_code == 302
    assert not BaseFollow.objects.exists(), "a stranger is asked to sign in"
    for _ in range(2):
        assert dave.post(f"{at}/-/ask").url == at
    assert "You asked for it" in dave.get(at).content.decode()
    verbs.ask_for_base("new/Other", cast.session("dave"))
    with pytest.raises(ValueInvalid, match="already requested 2 base models"):
        verbs.ask_for_base("new/Third", cast.session("dave"))
    for wrong in ("a/b/c", "../x", "x y"):
        with pytest.raises(ValueInvalid, match="not a model ID"):
            verbs.ask_for_base(wrong, cast.session("carol"))
    for who, sees in (("anonymous", False), ("mona", False), ("ada", True)):
        text = visit(who).get("/bases").content.decode()
        assert ("manage.py shelf add" in re.sub("<wbr>", "", text), "new/<wbr>Model" in text) == (sees, sees), who


def test_an_adapter_that_waits_for_its_base_has_the_button(visit, cast):
    made = cast.repository("acme/on-giant", by="bob")
    config = b'{"peft_type": "LORA", "base_model_name_or_path": "acme/Giant"}'
    pushed(cast, made, by="bob", files={"adapter_config.json": config, "adapter_model.safetensors": b"w"})
    dave = visit("dave")
    assert 'action="/bases/acme/Giant/-/ask"' in dave.get("/acme/on-giant").content.decode()
    dave.post("/bases/acme/Giant/-/ask")
    assert "You asked for it" in dave.get("/acme/on-giant").content.decode()


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
