"""Tokens: where they come from, where they are kept, and whom they are shown to."""

import json
import stat

from tests import live
from tests.client.hostile import liar


def test_login_keeps_a_token_that_only_this_user_can_read(dovetail, live_hub, tmp_path):
    done = dovetail("login", "--endpoint", live_hub.url, stdin=live.TOKENS["alice"] + "\n")
    assert (done.returncode, done.stdout) == (0, f"Signed in at {live_hub.url} as alice.\n")
    [kept] = (tmp_path / "home").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    shown = dovetail("whoami")
    assert shown.stdout == "alice\n", "the hub of the last login is the one that is meant"
    assert "admin in acme" in shown.stderr
    assert json.loads(dovetail("whoami", "--json").stdout)["token"]["role"] == "write"


def test_logout_forgets_it(dovetail, live_hub):
    dovetail("login", hub=live_hub, stdin=live.TOKENS["alice"])
    assert "is deleted here" in dovetail("logout").stdout
    assert "There was no token" in dovetail("logout").stdout
    assert dovetail("whoami").returncode == 3


def test_a_token_that_does_not_work_is_not_kept(dovetail, live_hub, tmp_path):
    done = dovetail("login", hub=live_hub, stdin="dvt_wrong_token\n")
    assert done.returncode == 3
    assert "dvt_wrong_token" not in done.stderr
    assert not (tmp_path / "home").exists()


def test_the_variables_of_hf_count_where_ours_are_not_set(dovetail, live_hub, tmp_path):
    assert dovetail("whoami", HF_ENDPOINT=live_hub.url, HF_TOKEN=live.TOKENS["bob"]).stdout == "bob\n"
    assert dovetail("whoami", hub=live_hub, who="carol", HF_TOKEN=live.TOKENS["bob"]).stdout == "carol\n"
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(live.TOKENS["erin"])
    assert dovetail("whoami", HF_ENDPOINT=live_hub.url).stdout == "erin\n"


def test_the_token_of_another_hub_is_not_sent_here(dovetail, tmp_path):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_of_another_hub")
    with liar() as hub:
        hub.holds({"README.md": b"x"})
        dovetail("pull", "alice/x", hub=hub.url, HF_ENDPOINT="https://huggingface.co", HF_TOKEN="hf_of_another_hub")
        assert hub.asked
        assert not [headers for _, headers in hub.asked if "authorization" in headers]


def test_a_token_does_not_follow_a_redirect_to_another_host(dovetail):
    with liar() as hub, liar() as elsewhere:
        hub.holds({"README.md": b"x"})
        _, headers, _ = hub.answers[hub.address("README.md")]
        moved = {"Location": f"{elsewhere.url}/bytes?signed=1", "X-Linked-Size": "1"}
        hub.answers[hub.address("README.md")] = (302, headers | moved, b"")
        elsewhere.answers["/bytes?signed=1"] = (200, {}, b"x")
        assert dovetail("pull", "alice/x", hub=hub.url, who="alice").returncode == 0
        assert all("authorization" in headers for _, headers in hub.asked)
        assert [path for path, headers in elsewhere.asked if "authorization" not in headers] == ["/bytes?signed=1"]
