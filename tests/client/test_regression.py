"""A version that scored worse, for people at a command line: exit status 8, and the owner's override."""

NAME = "alice/held-back"
MAKE = f"from tests import held_version; print(held_version.make({NAME!r}))"


def test_a_version_that_is_held_back_is_verified_by_its_owners_word_and_no_longer_without(here, ask, live_hub):
    held = live_hub.manage("shell", "-v", "0", "-c", MAKE).split()[-1]
    one, reason = f"{NAME}@{held}", ("--reason", "The new rows are harder than the old ones.")

    def verified() -> str:
        return str(ask("verdict", f"{NAME}@verified", hub=live_hub)["revision"])

    seen = here("verdict", f"{NAME}@main", hub=live_hub)
    assert seen.returncode == 8, seen.stderr
    assert "It scores worse than the verified version by more than chance" in " ".join(
        (seen.stdout + seen.stderr).split()
    )
    before = verified()
    assert before != held
    assert ask("override", one, hub=live_hub, who="alice", status=2)["code"] == "client-usage", "a reason is required"
    assert ask("override", one, *reason, hub=live_hub, who="carol", status=3)["code"] == "not-allowed"
    assert verified() == before
    done = here("override", one, *reason, hub=live_hub, who="alice")
    assert (done.returncode, done.stdout) == (0, f"{held}\n"), done.stderr
    assert "may become `verified`" in done.stderr
    assert ask("verdict", one, hub=live_hub)["regression"]["state"] == "overridden"
    assert verified() == held
    assert ask("override", one, "--undo", hub=live_hub, who="alice")["regression"]["state"] == "held"
    assert ask("verdict", one, hub=live_hub, status=8)["regression"]["state"] == "held"
    assert verified() == before
