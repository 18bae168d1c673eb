"""Manifests for Kubernetes against the schemas of the platforms' own definitions, which tests/client/crds holds.

The validator is imported where it is used: that takes seconds, and each process of a run reads each file.
"""

from pathlib import Path

import pytest
import yaml

from dovetail.commands.search_commands import PLATFORMS
from dovetail.serve.manifests import KINDS, manifest, object_name
from dovetail.serve.server_start import Target
from tests.client.hostile import liar
from tests.client.test_serving import adapter, asked, foreign
from tests.client.test_starting import COMMIT, IN_A_FOLDER, TARGET
from tests.sweep import sweep

CRDS = [yaml.safe_load(file.read_text()) for file in sorted((Path(__file__).parent / "crds").glob("*.yaml"))]
SCHEMAS = {(f"{crd['group']}/{crd['version']}", crd["kind"]): crd["spec"] for crd in CRDS}
OF_KUBERNETES = {"PersistentVolumeClaim", "Job", "Deployment"}
ANSWERS = [asked("vllm", adapter())]


def strict(schema):
    """Refuse fields that a definition does not name, as a server with field validation does."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if isinstance(made.get("properties"), dict) and "x-kubernetes-preserve-unknown-fields" not in made:
        made.setdefault("additionalProperties", False)
    return made


def test_every_definition_is_used():
    printed = {(made["apiVersion"], made["kind"]) for kind in KINDS for made in documents(kind, TARGET)}
    assert {pair for pair in printed if pair[1] not in OF_KUBERNETES} == set(SCHEMAS)


def documents(kind, target):
    return list(yaml.safe_load_all(manifest(kind, target, ANSWERS)))


@pytest.mark.parametrize("target", [TARGET, IN_A_FOLDER], ids=["at the top", "in a folder"])
@sweep("kind", KINDS)
def test_a_manifest_is_valid_and_says_address_commit_and_name(kind, target):
    import jsonschema  # type: ignore[import-untyped]  # it has no types

    if kind == "dynamo" and target.place:
        with pytest.raises(ValueError, match="out/checkpoint-10"):
            documents(kind, target)
        return
    made = documents(kind, target)
    for document in made:
        if document["kind"] not in OF_KUBERNETES:
            jsonschema.validate(document["spec"], strict(SCHEMAS[document["apiVersion"], document["kind"]]))
        name = document["metadata"]["name"]
        assert len(name) <= 63
        assert name == name.lower()
    text = manifest(kind, target, ANSWERS)
    body = yaml.safe_dump_all(made)
    assert target.endpoint in body
    assert COMMIT in body
    assert "router@1a2b3c4" in body or "router-1a2b3c4" in body
    assert f"# alice/router at {COMMIT}, of https://hub.example/x" in text
    if target.place and kind != "inference-model":
        assert "router-1a2b3c4/out/checkpoint-10" in body


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_fetched_by_a_name_without_a_commit(kind):
    for line in yaml.safe_dump_all(documents(kind, TARGET)).splitlines():
        if "alice/router" in line and "hf://" in line:
            assert COMMIT in line


def test_a_field_that_a_definition_does_not_name_is_refused():
    import jsonschema

    spec = documents("aibrix", TARGET)[-1]["spec"] | {"artifactUrl": "x"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, strict(SCHEMAS["model.aibrix.ai/v1alpha1", "ModelAdapter"]))


def test_what_vllm_does_not_serve_has_no_manifest():
    with pytest.raises(ValueError, match="vLLM reads LoRA adapters of PEFT"):
        manifest("kserve", TARGET, [asked("vllm", foreign({}, files=("r.gguf",), is_gguf=True))])


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("alice/My_Router.v2", "my-router-v2-1a2b3c4"),
        ("alice/" + "x" * 90, "x" * 55 + "-1a2b3c4"),
        ("a/__", "adapter-1a2b3c4"),
    ],
)
def test_names_of_objects_are_labels(name, made):
    assert object_name(Target(name, "http://hub", COMMIT)) == made


def test_the_command_prints_the_manifest_of_what_the_hub_says(here):
    assert tuple(KINDS) == PLATFORMS
    said = {"adapter": "alice/router", "revision": COMMIT, "state": "passed", "checks": [], "path": "out",
            "base": {"id": "a/base", "revision": None}, "serving": [ANSWERS[0].as_json()]}  # fmt: skip
    with liar() as hub:
        hub.says("/adapters/alice/router/revisions/verified/verdict", said)
        done = here("info", "alice/router", "--manifest", "aibrix", hub=hub.url)
        assert done.returncode == 0, done.stderr
        assert done.stdout == manifest("aibrix", Target.of_verdict(said, hub.url), ANSWERS)
        assert (
            yaml.safe_load(here("info", "alice/router", "--manifest", "aibrix", "--json", hub=hub.url).stdout)["kind"]
            == "aibrix"
        )
        wrong = here("info", "alice/router", "--manifest", "nomad", hub=hub.url)
    assert (wrong.returncode, "kserve" in wrong.stderr) == (2, True), wrong.stderr
