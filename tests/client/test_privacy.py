"""privacy.*: every finding of every file, with its line or key and its kind, and never the secret itself."""

import time

import pytest

from dovetail.adapters.checks import privacy
from tests.client.test_findings import answer, kohya

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
    assert found.message.startswith("a.env holds a Hugging Face token, line 2; and ")
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
        ("optimizer.pt", None, "state of the training"),
        ("style.safetensors", "ss_tag_frequency", "note of the training"),
        ("config.yaml", 2, "home folder"),
        ("config.yaml", 4, "home folder"),
        ("config.yaml", 3, "e-mail address"),
        ("style.safetensors", "author_mail", "e-mail address"),
    ]
    for part in (
        "of no use to others: optimizer.pt.",
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
    text, began = "a@b.co " * 300_000 + "\nc@d.co", time.process_time()
    assert [line for line, _ in privacy._matches(privacy.EMAIL, text)] == [1, 2]
    assert time.process_time() - began < 10.0, "a minute where each match counts the lines before it anew"
