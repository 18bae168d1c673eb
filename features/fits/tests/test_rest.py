"""POST /fit: which known bases a config and a header fit, and what is refused about them."""

import base64
import json

import pytest
from django.test import Client

from features.fits.tests.answers import HEADER, LORA
from registry.models import Base
from registry.repos import bases
from tests.api.conftest import FILES, pushed
from tests.fit.bases import (
    BERT,
    BERT_CONFIG,
    CONFIGS,
    LLAMA_8B,
    LLAMA_70B,
    MISTRAL,
    bert_lora,
    decoder_lora,
    header_of,
    lora_config,
)
from tests.fit.conftest import known, measured  # noqa: F401 - fixtures
from tests.sweep import sweep

pytestmark = pytest.mark.engine


def post(client, config, header):
    return client.post("/api/v1/fit", {"config": config, "header": header}, content_type="application/json")


@pytest.fixture
def anyone(ask, known):
    return ask()


def test_a_lora_is_told_which_bases_it_fits_and_why_not_the_others(anyone):
    answer = post(anyone, lora_config(LLAMA_8B), header_of(decoder_lora(LLAMA_8B)))
    assert answer.status_code == 200, answer.content
    said = answer.json()
    assert [one["base"] for one in said["fits"]] == [LLAMA_8B, MISTRAL]
    assert "cannot tell" in said["note"], "equal shapes are not told apart, and it says so"
    assert not said["fits"][0]["on_shelf"]
    others = {one["base"]: one for one in said["misfits"]}
    assert set(others) == set(CONFIGS) - {LLAMA_8B, MISTRAL}
    assert others[LLAMA_70B]["wrong"][0]["found"] != others[LLAMA_70B]["wrong"][0]["expected"]
    assert others["google-t5/t5-small"]["why"] == "It has no model for the task CAUSAL_LM."


def test_the_header_may_come_as_the_bytes_of_the_file(anyone):
    raw = json.dumps(header_of(bert_lora())).encode()
    for sent in (raw, len(raw).to_bytes(8, "little") + raw):
        said = post(anyone, BERT_CONFIG, base64.b64encode(sent).decode()).json()
        assert [one["base"] for one in said["fits"]] == [BERT]
        assert said["note"] is None


@sweep(
    "config, header, says",
    [
        ({}, {}, "not an adapter of PEFT"),
        ({"peft_type": "LORA"}, {"a": 1}, "header"),
        ({"peft_type": "LORA"}, "not base64!", "header"),
        ([], {}, "config"),
        ({"peft_type": "LORA", "r": 10**400}, {}, "config"),
        ({"peft_type": "LORA", "deep": [[[[[[[[[[1]]]]]]]]]]}, {}, "config"),
        ({"peft_type": "LORA", "target_modules": "(a+)+b"}, header_of(bert_lora()), "pattern"),
        ({"peft_type": "LORA", "x": "y" * 5000}, {}, "config"),
        *[(BERT_CONFIG | {"r": value}, header_of(bert_lora()), "says r = ") for value in ([8], "x", {}, True, 8.5)],
        (BERT_CONFIG | {"rank_pattern": {"query": "x"}}, header_of(bert_lora()), "says rank_pattern = "),
        (BERT_CONFIG | {"peft_type": ["LORA"]}, header_of(bert_lora()), "says peft_type = "),
    ],
)
def test_what_is_no_adapter_is_refused_in_words(anyone, config, header, says):
    answer = post(anyone, config, header)
    assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid"), answer.content
    assert says in answer.json()["detail"]


def test_both_parts_are_needed(anyone):
    answer = anyone.post("/api/v1/fit", {"config": {}}, content_type="application/json")
    assert answer.status_code == 400


# --- names of a base -------------------------------------------------------------------------------------------------
def of(config):
    """Files with this config."""
    return FILES | {"adapter_config.json": json.dumps(config).encode()}


def test_a_view_names_the_base_as_a_server_was_started_with(ask, cast, known):
    made = cast.repository("alice/reviews")
    pushed(cast, made, files=of(BERT_CONFIG))
    bases.add_alias("house/bert", BERT)
    address = "/api/v1/adapters/alice/reviews/revisions/main/files/adapter_config.json"
    for name in ("bert-base-uncased", "house/bert"):
        answer = ask().get(address, {"view": "base", "base": name})
        assert answer.json()["base_model_name_or_path"] == name
        assert answer["X-Dovetail-View"].startswith("base; ")
    refused = ask().get(address, {"view": "base", "base": "openai-community/gpt2"})
    assert (refused.status_code, refused.json()["code"]) == (400, "value-invalid")


def test_search_and_facets_take_a_base_by_any_of_its_names(ask, cast, known):
    for name, base in (("alice/one", BERT), ("alice/two", "bert-base-uncased")):
        made = cast.repository(name)
        pushed(cast, made, files=of(BERT_CONFIG | {"base_model_name_or_path": base}))
    said = ask().get("/api/v1/adapters", {"base": "bert-base-uncased", "facets": "1"}).json()
    assert sorted(item["id"] for item in said["items"]) == ["alice/one", "alice/two"]
    assert said["facets"]["base"] == [{"value": BERT, "count": 2}]
    assert Base.objects.filter(pk=BERT).exists()


@sweep(
    "field, value",
    [
        *(("r", value) for value in ([8], "x", {}, [[]], 1.5, True, None)),
        *(("peft_type", value) for value in (["LORA"], {}, [[]], 1, True)),
        *(("rank_pattern", value) for value in ([8], "x", {"c_attn": "x"}, {"c_attn": [8]}, 1.5, True)),
        *(("layers_to_transform", value) for value in ("x", {}, [[]], 1.5, True)),
        *(("target_modules", value) for value in ({}, [[]], [8], 1.5, True)),
    ],
)
def test_a_config_field_of_the_wrong_type_is_refused_by_name(known, field, value):
    body = {"config": LORA | {field: value}, "header": HEADER}
    answer = Client().post("/api/v1/fit", body, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert field in answer.json()["detail"]


@pytest.mark.parametrize("member", ["config", "header"])
@sweep("value", [[], [8], 5, 1.5, True, None])
def test_a_part_of_a_fit_that_is_no_object_is_refused_by_name(known, member, value):
    body = {"config": LORA, "header": HEADER} | {member: value}
    answer = Client().post("/api/v1/fit", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"{member}: ")
