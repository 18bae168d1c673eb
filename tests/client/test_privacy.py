"""privacy.*: every finding of every file, with its line or key and its kind, and never the secret itself."""

import io
import json
import pickle
import time

import pytest

from dovetail.adapters.checks import privacy
from dovetail.adapters.convert.redact import redact
from dovetail.adapters.files import header as headers
from dovetail.adapters.files import secrets
from tests.adapters import openers
from tests.client.test_findings import answer, kohya
from tests.sweep import sweep

KEY = "a" * 40
SECRETS = {
    "a Hugging Face token": f"hf_{KEY[:34]}",
    "a Dovetail token": f"dvt_{KEY[:32]}",
    "a Dovetail token of a directory": f"dvs_{KEY}aaa",
    "a GitHub token": f"ghp_{KEY[:36]}",
    "a GitLab token": f"glpat-{KEY[:20]}",
    "an AWS key": "AKIA" + "A" * 16,
    "an AWS secret key": f"aws_secret_access_key = {KEY}",
    "a Google key": f"AIza{KEY[:35]}",
    "an Azure key": f"AccountKey={KEY}{KEY}aaaaaa==",
    "a Slack token": f"xoxb-{KEY[:24]}",
    "a Weights & Biases key": f"machine api.wandb.ai login user password {KEY}",
    "a private key": "-----BEGIN OPENSSH PRIVATE KEY-----",
}


def test_every_kind_of_secret_is_told_with_its_line_in_every_file():
    lines = "\n".join(f"# {number}\n{value}" for number, value in enumerate(SECRETS.values()))
    files = kohya({"ss_note": SECRETS["a GitHub token"]}) | {"a.env": lines.encode(), "b.log": b"hf_" + b"b" * 34}
    found = answer("privacy.secret", files)
    places = {(one["file"], one.get("line") or one["key"], one["kind"]) for one in found.where["findings"]}
    expected = {("a.env", 2 * number + 2, kind) for number, kind in enumerate(SECRETS)}
    assert {place for place in places if place[0] == "a.env"} == expected
    assert {("b.log", 1, "a Hugging Face token"), ("style.safetensors", "ss_note", "a GitHub token")} <= places
    assert found.message.startswith("a.env contains a Hugging Face token, line 2; and ")
    assert found.message.endswith("and 9 more.")
    assert KEY[:20] not in found.message


def test_traces_of_the_training_are_all_told_together():
    notes = {"ss_tag_frequency": "{}", "ss_network_dim": "8", "author_mail": "jane.doe@corp.io"}
    texts = {
        "optimizer.pt": b"x",
        "config.yaml": b"lr: 1\nout: /home/jane/run\nwho: jane@corp.io\nagain: /Users/jane/x\n",
        "README.md": b"Write to jane@corp.io.",
        "rows.jsonl": b'{"text": "from max@corp.io"}',
        "setup.cfg": b"url = git@github.com:a/b\nmail = a@example.com\n",
    }
    found = answer("privacy.training-data", kohya(notes) | texts)
    assert [(one["file"], one.get("line") or one.get("key"), one["kind"]) for one in found.where["findings"]] == [
        ("optimizer.pt", None, "training state"),
        ("style.safetensors", "ss_tag_frequency", "note of the training"),
        ("config.yaml", 2, "home folder"),
        ("config.yaml", 4, "home folder"),
        ("config.yaml", 3, "e-mail address"),
        ("style.safetensors", "author_mail", "e-mail address"),
    ]
    for part in (
        "which users do not need: optimizer.pt.",
        "(ss_tag_frequency)",
        "(/home/jane, line 2) and 1 more place like it",
    ):
        assert part in found.message
    assert "jane@corp.io" not in found.message


def test_a_report_lists_a_bounded_number_of_findings_and_counts_the_others():
    many = {f"{number:03}.txt": b"from /home/me\n" * 30 for number in range(10)}
    where = answer("privacy.training-data", kohya({}) | many).where
    assert (len(where["findings"]), where["more"]) == (
        privacy.MAX_TRACES,
        10 * privacy.MAX_OF_FILE - privacy.MAX_TRACES,
    )


@pytest.mark.parametrize("weights", [b"no safetensors file", None])
def test_a_header_that_cannot_be_read_hides_no_secret_of_a_text(weights):
    files = {"adapter_config.json": b"{}", "a.env": SECRETS["a GitHub token"].encode()}
    files |= {"adapter_model.safetensors": weights} if weights else {}
    assert answer("privacy.secret", files).where["file"] == "a.env"


def test_a_long_line_full_of_addresses_is_read_once():
    text = "a@b.co " * 300_000 + "\nc@d.co"  # a minute, where each match counts the lines before it anew
    assert [line for line, _ in secrets.lines_with(privacy.EMAIL, text)] == [1, 2]


# --- what a pull request removes -------------------------------------------------------------------------------------
TOKEN = SECRETS["a Hugging Face token"]
BLOCK = "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----".format("b" * 64)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.json", '{\n   "x" : "TOKEN",  "out":"/home/me/run\\njane@corp.io", "l": NaN}\n',
         '{\n   "x" : "[removed]",  "out":"[removed]/run\\n[removed]", "l": NaN}\n'),
        ("a.json", f'{{"wandb_api_key": "{"0a" * 20}"}}', '{"wandb_api_key": "[removed]"}'),
        ("a.json", '{"key": "é\\nTOKEN"}', '{"key": "é\\n[removed]"}'),
        ("a.jsonl", '{"a": "TOKEN"}\n{"by": "jane@corp.io"}\n', '{"a": "[removed]"}\n{"by": "jane@corp.io"}\n'),
        ("a.toml", 'mail = "\\njane@corp.io"', 'mail = "\\n[removed]"'),
        ("a.yaml", "out: /home/me/run\nkey: TOKEN # mine\n", "out: removed/run\nkey: removed # mine\n"),
        ("README.md", "---\nx: TOKEN\n---\nUse TOKEN. jane@corp.io\n",
         "---\nx: removed\n---\nUse [removed]. jane@corp.io\n"),
        ("a.env", f"A=1\n{BLOCK}\nB=2\r\n", "A=1\n[removed]\nB=2\r\n"),
        ("adapter_config.json", '{"base_model_name_or_path": "/home/me/b", "o": "/home/me/x"}',
         '{"base_model_name_or_path": "/home/me/b", "o": "[removed]/x"}'),
    ],
)  # fmt: skip
def test_a_text_loses_what_is_private_and_keeps_every_other_byte(path, before, after):
    files = {path: before.replace("TOKEN", TOKEN).encode()}
    assert redact(openers(files), 0).texts == {path: after.encode()}


@sweep("kind, value", SECRETS.items())
def test_of_every_secret_nothing_is_left(kind, value):
    value = BLOCK if kind == "a private key" else value
    redacted = redact(openers({"a.env": f"x = {value}\n".encode()}), 0)
    assert not list(privacy.traces_of("a.env", redacted.texts["a.env"].decode()))
    assert redacted.left == []
    assert KEY[:16] not in redacted.texts["a.env"].decode()
    assert KEY[:16] not in "".join(redacted.removed)


def test_bytes_that_are_no_utf_8_stay():
    redacted = redact(openers({"a.txt": b"\xff\xfe /root/me \xe9\r\n"}), 0)
    assert redacted.texts == {"a.txt": b"\xff\xfe [removed] \xe9\r\n"}


def test_weights_get_another_header_before_the_same_tensors():
    note = json.dumps({"out": "/home/me/run\njane@corp.io"})
    private = {"ss_tag_frequency": "{}", "ss_output": note, "by": "jane@corp.io"}
    public = {"ss_network_dim": "8", "modelspec.author": "jane@corp.io"}
    name, raw = next((name, raw) for name, raw in kohya(private | public).items() if name.endswith(".safetensors"))
    rewritten = redact(openers({name: raw}), len(raw)).weights[name]
    rewritten.write(target := io.BytesIO())
    before, after = headers.read(io.BytesIO(raw)), headers.read(target)
    cleaned = json.dumps({"out": "[removed]/run\n[removed]"})
    assert after.metadata == public | {"ss_output": cleaned, "by": "[removed]"}
    assert [(tensor.dtype, tensor.shape) for tensor in after.tensors.values()] == [
        (tensor.dtype, tensor.shape) for tensor in before.tensors.values()
    ]
    assert target.getvalue()[-size_of_tensors(before) :] == raw[-size_of_tensors(before) :]
    large = redact(openers({name: raw}), len(raw) - 1)
    assert not large
    assert large.left[0] == f"`{name} (by)`: the file is too large to rewrite"


def size_of_tensors(header):
    return sum(tensor.size for tensor in header.tensors.values())


def test_what_a_repair_cannot_remove_is_told_and_stays():
    files = {
        "adapter_config.json": b'{"base_model_name_or_path": "/home/me/bert"}',
        "added_tokens.json": b'{"/home/me": 1}',
        "twice.json": b'{"/home/a": 1, "/home/b": 2}',
        "cut.env": b"-----BEGIN RSA PRIVATE KEY-----\nabc",
    }
    redacted = redact(openers(files), 0)
    assert not redacted
    assert [sentence.partition(":")[0] for sentence in redacted.left] == [
        "`adapter_config.json (line 1)`", "`added_tokens.json (line 1)`", "`cut.env (line 1)`", "`twice.json (line 1)`",
    ]  # fmt: skip


def test_state_of_the_training_is_deleted_and_arguments_only_with_something_private():
    arguments = {
        "a/training_args.bin": pickle.dumps({"hub_token": TOKEN}),
        "training_args.bin": pickle.dumps({"lr": 1}),
    }
    redacted = redact(openers({**arguments, "optimizer.pt": b"x", "b/rng_state_0.pth": b"x"}), 0)
    assert redacted.deleted == ["a/training_args.bin", "b/rng_state_0.pth", "optimizer.pt"]


LETTERS = "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zCd7gHa0bEc3fGi6jKl9mNo2pQr5sTu8vWx1yZa4B" * 3  # of a key that nobody has
TOKENS = {
    "a GitHub token": f"github_pat_{LETTERS[:82]}",
    "an Anthropic key": f"sk-ant-api03-{LETTERS[:93]}",
    "an API key": f"sk-proj-{LETTERS[:48]}",
    "a Stripe key": f"sk_live_{LETTERS[:24]}",
    "an npm token": f"npm_{LETTERS[:36]}",
    "a PyPI token": f"pypi-AgEIcHlwaS5vcmc{LETTERS[:80]}",
    "a Twilio key": "SK" + "9f8e7d6c5b4a3210" * 2,
    "a SendGrid key": f"SG.{LETTERS[:22]}.{LETTERS[:43]}",
    "a Telegram token": f"987654321:AA{LETTERS[:33]}",
    "a Slack webhook": f"https://hooks.slack.com/services/T0AB12CD3/B0EF45GH6/{LETTERS[:24]}",
    "a Groq key": f"gsk_{LETTERS[:52]}",
    "a Docker token": f"dckr_pat_{LETTERS[:27]}",
}
PEM = BLOCK.replace("b" * 64, "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ") + "\n"


def test_secrets_are_found_by_content_whatever_the_file_is_called():
    notebook = json.dumps({"cells": [{"source": [f"import os\n{TOKENS['an npm token']}\n", PEM]}]})
    files = {
        "id_rsa": PEM.encode(),
        "deploy/key.pem": PEM.replace("OPENSSH ", "").encode(),
        ".env.local": f"KEY={TOKENS['a Stripe key']}\n".encode(),
        "train.ipynb": notebook.encode(),
        "main.tf": f'token = "{TOKENS["a GitHub token"]}"'.encode(),
        "settings.xml": f"<password>{TOKENS['a SendGrid key']}</password>".encode(),
        "rows.csv": f"a,b\n1,{TOKENS['a Telegram token']}\n".encode(),
        "notes": f"{TOKENS['an API key']}".encode("utf-16"),
        "exported": f"x = {TOKENS['a PyPI token']}".encode("utf-16-le"),
        "account.json": json.dumps({"type": "service_account", "private_key": PEM}).encode(),
        "big.txt": b"x\n" * (3 << 20) + TOKENS["a Groq key"].encode(),
        "weights.dat": bytes(4096) + PEM.encode(),
    }
    found = answer("privacy.secret", {"adapter_config.json": b"{}"} | files)
    assert {one["file"] for one in found.where["findings"]} == files.keys() - {"big.txt", "weights.dat"}
    assert {one["kind"] for one in found.where["findings"] if one["file"] == "train.ipynb"} == {
        "an npm token", "a private key",
    }  # fmt: skip
    assert found.where["searched"].endswith("of text; 1 binary file and 1 of over 5 MB were not")


@sweep("kind, value", TOKENS.items())
def test_the_token_of_a_service_is_known(kind, value):
    for text in (value, f'"{value}"', f"key={value}\n", json.dumps({"t": f"line\n{value}\nline"})):
        assert [found for _, found in secrets.secrets_of(text)] == [kind], text


@sweep("text", [
    "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "hf_" + "x" * 34,
    "sk-your-api-key-goes-here-and-is-long-enough", "sk-learn-is-a-library-of-many-estimators-in-python",
    "sha256:" + "9f8e7d6c5b4a3210" * 4, "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    'if text.startswith("-----BEGIN PRIVATE KEY-----"):', "ghp_" + "x" * 36, "-----BEGIN CERTIFICATE-----\nMIIB",
    "xoxb-your-token-goes-right-here", "sk_test_" + LETTERS[:24], "risk-" + LETTERS[:40],
    "sk-danish-bert-base-uncased-finetuned-2023-11-05-epoch3",
])  # fmt: skip
def test_examples_and_checksums_are_no_secrets(text):
    assert list(secrets.secrets_of(text)) == []


@pytest.mark.merge
def test_the_search_takes_linear_time():
    for piece in (
        "sk-",
        "sk-sk-1",
        "-----BEGIN ",
        "gh",
        "glpat-",
        "SG.",
        "1:AA",
        "xoxb-",
        "a8Q~",
        "\\n",
        "eyJ",
        "AccountKey=",
    ):
        began = time.process_time()
        list(secrets.secrets_of(piece * ((1 << 20) // len(piece))))
        assert time.process_time() - began < 5
