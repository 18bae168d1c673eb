"""Which bases an adapter fits: by its config, its header or both, as files or as texts; nothing is kept."""

import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from dovetail.adapters.files.config import MAX_BYTES
from registry.models import Blob
from tests.fit.bases import (
    BERT,
    BERT_CONFIG,
    LLAMA_8B,
    LLAMA_70B,
    MISTRAL,
    bert_lora,
    decoder_lora,
    header_of,
    lora_config,
)
from tests.sweep import sweep

pytestmark = pytest.mark.engine
AT = "/bases/-/fit"


def words_of(answer):
    return " ".join(re.sub(r"<[^>]+>", "", answer.content.decode().partition("<main")[2]).split())


def bases_of(answer):
    """Return the bases below each heading of a page."""
    parts = answer.content.decode().split("<table")[1:]
    return [re.findall(r'data-item\s+href="/bases/([^"]+)"', part) for part in parts]


def file_of(shapes):
    """Return the bytes of a safetensors file with zeros in these shapes."""
    header = header_of(shapes)
    text = json.dumps(header).encode()
    end = max(one["data_offsets"][1] for name, one in header.items() if name != "__metadata__")
    return len(text).to_bytes(8, "little") + text + bytes(end)


def test_config_and_header_say_which_bases_fit_and_why_not_the_others(visit, known):
    texts = {"config": json.dumps(lora_config(LLAMA_8B)), "header": json.dumps(header_of(decoder_lora(LLAMA_8B)))}
    answer = visit().post(AT, {"base": LLAMA_70B, **texts})
    said = words_of(answer)
    assert answer.status_code == 200
    assert f"It does not fit {LLAMA_70B}." in said
    assert "tensors have another shape" in said
    assert bases_of(answer)[0] == [LLAMA_8B, MISTRAL]
    assert "It fits 2 bases of this hub" in said
    assert f"It fits {LLAMA_8B}." in words_of(visit().post(AT, {"base": LLAMA_8B, **texts}))
    assert "are not known here" in words_of(visit().post(AT, {"base": "no/such", **texts}))


def test_one_of_the_two_says_what_it_can(visit, known):
    config, header = json.dumps(BERT_CONFIG), json.dumps(header_of(bert_lora()))
    answer = visit().post(AT, {"config": config, "base": BERT})
    assert f"It may fit {BERT}" in words_of(answer)
    assert LLAMA_8B not in bases_of(answer)[0]
    answer = visit().post(AT, {"header": header})
    assert bases_of(answer)[0] == [BERT]
    assert bases_of(visit().post(AT, {"header": json.dumps(header_of(decoder_lora(LLAMA_8B)))}))[0] == [
        LLAMA_8B,
        MISTRAL,
    ]


def test_files_come_without_scripts_for_people_and_leave_nothing(visit, known):
    def files():
        raw = json.dumps(BERT_CONFIG).encode()
        return [
            SimpleUploadedFile("adapter_config.json", raw),
            SimpleUploadedFile("adapter_model.safetensors", file_of(bert_lora())),
        ]

    before = Blob.objects.count()
    answer = visit("carol").post(AT, {"base": BERT, "files": files()})
    assert f"It fits {BERT}." in words_of(answer)
    assert Blob.objects.count() == before
    stranger = visit().post(AT, {"base": BERT, "files": files()})
    assert stranger.status_code == 400
    assert "Sign in to send files" in words_of(stranger)
    assert not stranger.cookies


@sweep(
    "sent, says",
    [
        ({}, "Sign in to send files"),
        ({"config": "{}"}, "not an adapter of PEFT"),
        ({"config": "not json"}, "adapter_config.json cannot be read"),
        ({"config": "[" * 5000}, "adapter_config.json cannot be read"),
        ({"config": '{"x": "' + "y" * MAX_BYTES + '"}'}, "adapter_config.json cannot be read"),
        ({"header": "-"}, "The header of the weights cannot be read"),
        ({"header": "{}"}, "not the tensors of a LoRA"),
        ({"header": '{"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}'}, "needs 1 to 4 dimensions"),
        ({"config": '{"peft_type": "LORA", "target_modules": "(a+)+b"}', "header": "{}"}, ""),
    ],
)
def test_what_is_no_adapter_is_refused_in_words(visit, known, sent, says):
    answer = visit().post(AT, sent)
    assert answer.status_code == 400 or not says
    assert says in words_of(answer)


def test_the_page_of_a_base_has_the_form(visit, known):
    page = visit().get(f"/bases/{BERT}").content.decode()
    assert f'action="{AT}"' in page
    assert f'<input type="hidden" name="base" value="{BERT}">' in page
    assert "csrfmiddlewaretoken" not in page.partition("data-fit")[2].partition("</form>")[0]
    assert visit().get(AT).status_code == 200
