"""How notifications reach a person, chosen over REST."""

URL = "/api/v1/me/notifications/preferences"


def test_channels_and_the_digest_are_chosen_in_parts(ask_json, cast):
    alice = ask_json("alice", "write")
    before = alice.get(URL).json()
    assert before["channels"]["watched"] == "digest"
    assert "cases" not in before["channels"]  # of staff
    changed = alice.patch(URL, {"channels": {"watched": "site"}, "digest_hour": 6}).json()
    assert changed == before | {"channels": before["channels"] | {"watched": "site"}, "digest_hour": 6}
    assert alice.patch(URL, {"mail": False}).json() == changed | {"mail": False}
    for wrong in ({"channels": {"security": "off"}}, {"channels": {"own": "pigeon"}}, {"digest_hour": 24}):
        assert alice.patch(URL, wrong | {"mail": True}).json()["code"] == "value-invalid", wrong
    assert ask_json("alice", "read").patch(URL, {"mail": True}).status_code == 403
    assert alice.get(URL).json() == changed | {"mail": False}
