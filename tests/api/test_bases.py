"""GET /bases and one of them: every name, every digest, the license, and pages that never end early."""

import pytest

from registry.models import Base
from registry.repos import bases
from tests.api.conftest import BASE, judged, pushed

LLAMA = "meta-llama/Meta-Llama-3-8B"


@pytest.fixture
def llama(db):
    return Base.objects.create(
        id=LLAMA, revision="b" * 40, sha256="1" * 64, has_weights=False, config={"model_type": "llama"},
        source="config /srv/secret/config.json",
    )  # fmt: skip


def test_a_base_says_all_that_is_known_of_it_under_any_of_its_names(ask, repository, llama):
    bases.add_alias("house/llama", LLAMA)
    said = ask().get(f"/api/v1/bases/{LLAMA}").json()
    assert said["id"] == LLAMA
    assert (said["on_shelf"], said["revision"], said["license"], said["source"]) == (
        False,
        "b" * 40,
        "llama3",
        "config",
    )
    assert said["duties"] == {
        "needs_notice": True, "needs_name_prefix": "Llama 3", "non_commercial": False, "share_alike": False,
    }  # fmt: skip
    assert {"house/llama", "unsloth/llama-3-8b"} <= set(said["aliases"])
    for name in ("house/llama", "unsloth/llama-3-8b", "unsloth/llama-3-8b-bnb-4bit", LLAMA.upper()):
        assert ask().get(f"/api/v1/bases/{name}").json() == said, name


def test_the_digest_of_each_file_is_told_and_a_license_set_here_counts(ask, repository):
    revision = pushed_and_judged(repository)
    Base.objects.filter(pk=BASE).update(files={"config.json": "c" * 64}, license="gemma")
    said = ask().get(f"/api/v1/bases/{BASE}").json()
    assert (said["files"], said["license"], said["adapters"]) == ({"config.json": "c" * 64}, "gemma", 1)
    assert revision


def pushed_and_judged(repository):
    return judged(repository.refs.get(name="refs/heads/main").revision)


def test_a_base_that_only_hidden_adapters_name_does_not_exist_for_others(ask, cast, secret):
    cast_config = b'{"peft_type": "LORA", "base_model_name_or_path": "hidden/base"}'
    pushed(cast, secret, files={"adapter_config.json": cast_config, "adapter_model.safetensors": b"x"})
    assert ask("alice").get("/api/v1/bases/hidden/base").status_code == 200
    answer = ask().get("/api/v1/bases/hidden/base")
    assert (answer.status_code, answer.json()["code"]) == (404, "base-not-found")
    assert ask().get("/bases/hidden/base").status_code == 404


def test_every_base_comes_up_once_however_many_there_are(ask, cast):
    names = [f"many/base-{number:03}" for number in range(230)]
    Base.objects.bulk_create(Base(id=name, revision="r", sha256="0" * 64) for name in names)
    seen, address = [], "/api/v1/bases?limit=100"
    while address:
        page = ask().get(address).json()
        seen += [item["id"] for item in page["items"]]
        address = page["next"]
    assert seen == names
    assert ask().get("/api/v1/bases", {"cursor": "bent"}).status_code == 400


def test_the_website_shows_license_duties_names_and_digests_and_sends_other_names_to_the_one(ask, llama):
    Base.objects.filter(pk=LLAMA).update(files={"config.json": "c" * 64}, has_weights=True)
    page = ask().get(f"/bases/{LLAMA}").content.decode()
    for expected in ("Llama 3", "A name that begins with", "unsloth/llama-3-8b", "c" * 64):
        assert expected in page
    assert ask().get("/bases/unsloth/llama-3-8b-bnb-4bit")["Location"] == f"/bases/{LLAMA}"
    assert "not known" not in ask().get("/bases").content.decode()


def evaluation(base, adapter, better="higher", metric="accuracy"):
    return {"name": "smoke", "rows": 24, "metric": metric, "base": base, "adapter": adapter, "better": better}


def test_the_adapters_of_a_base_by_any_of_its_names(ask, cast, repository, secret):
    bases.add_alias("house/mini", BASE)
    for name in (BASE, "house/mini"):
        assert [item["id"] for item in ask().get(f"/api/v1/bases/{name}/adapters").json()["items"]] == ["alice/reviews"]
    assert len(ask("alice").get(f"/api/v1/bases/{BASE}/adapters").json()["items"]) == 2
    answer = ask().get("/api/v1/bases/no/such/adapters")
    assert (answer.status_code, answer.json()["code"]) == (404, "base-not-found")
    assert ask().get(f"/api/v1/bases/{BASE}/nonsense").json()["code"] == "route-not-found"
