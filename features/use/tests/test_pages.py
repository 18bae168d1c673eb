"""The page of commands by tool, its box on the page of a repository, and what the commands pull."""

import json
import re
import shlex
from html import unescape

import pytest
import yaml

from features.use.pages.snippets import install_line
from hub.about import PORT
from registry.publish import push
from registry.publish.push import Inline, Intent
from registry.repos.refs import MAIN
from tests.api.conftest import CONFIG, judged, pushed, weights
from tests.site.conftest import push_more
from tests.site.test_compatibility import FITS, SERVING


def text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def test_snippets_pin_what_was_proven(visit, cast, reviews):
    assert "dovetail pull alice/reviews@verified" in text(visit().get("/alice/reviews"))
    first = reviews.refs.get(name="refs/verified").revision
    unproven = push_more(cast, reviews, **{"notes.txt": b"new"})
    front = text(visit().get("/alice/reviews"))
    assert "dovetail pull alice/reviews@verified" in front
    assert f"@{unproven.oid}" not in front
    judged(push_more(cast, reviews, **{"notes.txt": b"newer"}))
    assert f"dovetail pull alice/reviews@{first.oid}" in text(
        visit().get(f"/alice/reviews/use?tool=dovetail&version={first.oid}")
    )


def test_where_the_newest_version_failed_the_commands_pull_the_one_that_works(visit, cast, reviews):
    verified = reviews.refs.get(name="refs/verified").revision.oid
    check = {"id": "tensors.not-finite", "outcome": "failed", "message": "3 NaN.", "fix": "Train again."}
    judged(push_more(cast, reviews, **{"notes.txt": b"new"}), "failed", checks=[check])
    reader = " ".join(text(visit().get("/alice/reviews")).split())
    assert re.search(r"Pinned to verified ?, the newest version known to work\.", reader)
    assert "dovetail pull alice/reviews@verified" in reader
    front = " ".join(text(visit("alice").get("/alice/reviews")).split())
    assert re.search(rf"Pinned to verified ?, the newest version known to work ?: {verified[:8]} ?\.", front)
    assert "This version did not pass" in front
    assert "dovetail pull alice/reviews@verified" in front


def test_the_page_of_use_pins_verified_unless_another_version_is_chosen(visit, cast, reviews):
    verified = reviews.refs.get(name="refs/verified").revision.oid
    check = {"id": "base.unnamed", "outcome": "failed", "message": "No base.", "fix": "Name it."}
    newest = judged(push_more(cast, reviews, **{"notes.txt": b"new"}), "failed", checks=[check]).revision
    shown = {}
    for version in ("", "verified", "newest", verified, newest.oid, newest.oid[:7]):
        page = visit().get("/alice/reviews/use", {"tool": "hf", "version": version})
        shown[version] = re.findall(r"--revision (\w+)", unescape(page.content.decode()))
        assert ", which did not pass" not in text(page) or version not in ("", "verified", verified)
    assert shown == {"": ["verified"], "verified": ["verified"], verified: ["verified"],
                     "newest": [newest.oid], newest.oid: [newest.oid], newest.oid[:7]: [newest.oid]}  # fmt: skip
    links = re.findall(r'href="([^"]+)"', visit().get("/alice/reviews/use?tool=hf").content.decode())
    assert {"/alice/reviews/use?tool=hf&amp;version=newest", "/alice/reviews/use?tool=curl&amp;version=verified"} <= {
        *links
    }
    assert visit().get("/alice/reviews/use?version=nothing").status_code == 404
    head = visit().get("/alice/reviews/tree/main").content.decode()
    assert "/use?tool=cite" in head
    entry = unescape(visit().get("/alice/reviews/use?tool=cite&version=newest").content.decode())
    assert re.search(
        rf"  version = {{{newest.oid}}},\n  howpublished = {{\\url{{http\S+/commit/{newest.oid}}}}},\n}}", entry
    )
    assert "  title = {{alice/reviews}: adapter for " in entry
    assert visit().get("/alice/reviews/use?tool=nothing").status_code == 200
    cast.repository("alice/new")
    assert visit("alice").get("/alice/new/use")["Location"] == "/alice/new"


def test_where_nothing_passed_no_page_speaks_of_what_works(visit, cast):
    pushed(cast, cast.repository("alice/first"))
    front = " ".join(text(visit().get("/alice/first")).split())
    assert "Pinned to this commit, which is not proven yet." in front
    assert "/tree/verified" not in visit().get("/alice/first").content.decode()


@pytest.mark.parametrize(("who", "address"), [("carol", "alice/reviews"), ("bob", "acme/secret")])
def test_a_step_of_ci_runs_what_a_terminal_does(visit, reviews, secret, who, address):
    tools = {tool.key: tool.codes for tool in visit(who).get(f"/{address}/use").context["tools"]}
    *_, install, endpoint, pull = tools["dovetail"]
    [step] = yaml.safe_load(tools["ci"][0])
    assert step["run"].splitlines() == [install, pull]
    given = {"DOVETAIL_TOKEN": "${{ secrets.DOVETAIL_TOKEN }}"} if address == "acme/secret" else {}
    assert step["env"] == {"DOVETAIL_ENDPOINT": endpoint.partition("=")[2]} | given


def test_nothing_an_author_wrote_runs_in_the_shell_of_who_copies_a_snippet(visit, cast):
    config = json.dumps({**CONFIG, "base_model_name_or_path": "x/y; touch /tmp/pwned", "task_type": "CAUSAL_LM"})
    name = "a $(touch pwned) `b` 'c.safetensors"
    files = {"README.md": b"# Hi\n", "adapter_config.json": config.encode(), name: weights()}
    pushed(cast, cast.repository("alice/sly"), files=files)
    snippets = [code for tool in visit().get("/alice/sly/use").context["tools"] for code in tool.codes]
    assert any("curl" in code for code in snippets)
    for code in snippets:
        assert "touch" not in code or "%24%28touch" in code
        assert not re.search(r"[;`]|\$\(", code)


def test_the_program_of_an_older_version_names_its_own_base(visit, cast, reviews):
    old = reviews.refs.get(name="refs/heads/main").revision
    other = {**CONFIG, "base_model_name_or_path": "tiny/other"}
    push_more(cast, reviews, **{"adapter_config.json": json.dumps(other).encode()})
    tool = f"/alice/reviews/use?tool=peft&version={old.oid}"
    assert "tiny/other" not in visit().get(tool).content.decode()


@pytest.mark.parametrize("type", ["dataset", "space"])
def test_datasets_and_spaces_have_commands_of_their_own(visit, cast, type):
    made = cast.repository("alice/rows", type=type)
    push.receive(Intent(made, MAIN, cast.session("alice"), title="Rows"), [Inline("a b.txt", b"x")])
    page = text(visit().get(f"/{type}s/alice/rows"))
    assert f"Use this {type}" in page
    assert f"hf download alice/rows --repo-type {type}" in page
    assert "dovetail pull" not in page
    page = text(visit().get(f"/{type}s/alice/rows/use?tool=curl"))
    assert re.search(rf"curl -L -O .*/{type}s/alice/rows/resolve/[0-9a-f]{{40}}/a%20b\.txt", page)


def test_what_may_be_copied_is_what_the_table_says(visit, cast, served):
    use = {snippet.key: snippet for snippet in visit().get("/alice/reviews/use").context["tools"]}
    assert "vllm serve" in use["vllm"].code
    lines = use["vllm"].code.replace(" \\\n ", "").splitlines()
    commit = served.refs.get(name="refs/heads/main").revision.oid
    pull = f"dovetail pull alice/reviews@{commit} --to ./reviews-{commit[:7]} --endpoint http://127.0.0.1:{PORT}"
    assert lines[:2] == [install_line(f"http://127.0.0.1:{PORT}"), pull]
    assert lines[2].endswith(f"--max-lora-rank 64 --lora-modules reviews@{commit[:7]}=./reviews-{commit[:7]}")
    assert ("ollama" in use) == ("llama.cpp" in use)
    refused = [{**row, "outcome": "refuses", "reason": "No.", "flags": []} for row in SERVING]
    other = cast.repository("alice/refused")
    judged(pushed(cast, other), depth="run", serving=refused, fits=FITS)
    snippet = next(one for one in visit().get("/alice/refused/use").context["tools"] if one.key == "vllm")
    assert (snippet.code, snippet.why) == ("", "No.")
    page = " ".join(visit().get("/alice/refused/use?tool=vllm").content.decode().split())
    assert "<b>Not with this adapter.</b> No." in page
    assert 'href="/alice/refused/verdict/verified#engine-vllm"' in page


def test_a_container_is_given_the_options_of_the_plain_line(visit, served):
    use = {snippet.key: snippet.codes for snippet in visit().get("/alice/reviews/use").context["tools"]}
    *before, plain = use["vllm"]
    *again, run, compose = use["docker"]
    assert again == before
    options = shlex.split(plain.replace("\\\n", ""))[2:]
    words = shlex.split(run.replace("\\\n", ""))
    image = next(at for at, word in enumerate(words) if word.startswith("vllm/vllm-openai:v"))
    assert words[image + 1 :] == options
    folder = options[options.index("--lora-modules") + 1].partition("=./")[2]
    assert f"$PWD/{folder}:/adapters/{folder}:ro" in words
    assert words[words.index("-w") + 1] == "/adapters"
    [service] = yaml.safe_load(compose)["services"].values()
    assert (service["image"], shlex.split(service["command"])) == (words[image], options)
    assert (service["working_dir"], service["volumes"][0]) == ("/adapters", f"./{folder}:/adapters/{folder}:ro")
    assert ("--network" in words, service.get("network_mode")) == (True, "host"), "the hub is on this machine"


PEFT_ROWS = [
    {"engine": "peft-0.18", "version": "0.18.1", "outcome": "serves", "reason": "It knows every key.", "flags": []},
    {"engine": "peft-0.14", "version": "0.14.0", "outcome": "wrong", "reason": "It drops arrow_config.", "flags": []},
    {"engine": "peft-0.13", "version": "0.13.2", "outcome": "refuses", "reason": "TypeError.", "flags": []},
]


@pytest.mark.parametrize(
    ("serving", "peft", "comment", "why"),
    [
        ([], "", "# pip install torch transformers peft", ""),
        (PEFT_ROWS[:1], "", "# pip install torch transformers peft", ""),
        (PEFT_ROWS, "", '# pip install torch transformers "peft>=0.18"', ""),
        (PEFT_ROWS[1:], "0.21.2", '# pip install torch transformers "peft>=0.21.2"', ""),
        (PEFT_ROWS[1:], "", "", "It drops arrow_config."),
    ],
)
def test_peft_is_offered_in_the_releases_that_the_table_names(visit, cast, serving, peft, comment, why):
    engine = {"name": "e5", "peft": peft}
    revision = pushed(cast, cast.repository("alice/reviews"))
    judged(revision, depth="fit", format="peft", serving=serving, fits=FITS, engine=engine)
    [snippet] = [snippet for snippet in visit().get("/alice/reviews/use").context["tools"] if snippet.key == "peft"]
    assert snippet.why == why
    assert ("PeftModel" in snippet.code) == (not why)
    assert "".join(line for line in snippet.code.splitlines() if line.startswith("# pip")) == comment


def test_an_adapter_of_the_adapters_library_is_used_as_it_was_proven(visit, cast):
    config = {"config": {"reduction_factor": 16}, "model_type": "bert", "model_name": "acme/bert", "name": "mood"}
    files = {"adapter_config.json": json.dumps(config).encode(), "adapter.safetensors": b""}
    pushed(cast, cast.repository("alice/mood"), files=files)
    shown = text(visit().get("/alice/mood/use"))
    assert "from adapters import AutoAdapterModel" in shown
    assert "use_safetensors=True" in shown
    assert "from peft" not in shown
