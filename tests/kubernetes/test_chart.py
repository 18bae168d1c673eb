"""The objects that the chart renders, for all sets of values: valid, complete, and as docker-compose.yml says.

The validators are imported where they are used: that takes seconds, and each process of a run reads each file.
"""

import json
from functools import cache

import pytest
import yaml
from django.urls import resolve

from ops.sentences import ROOT
from tests.client.test_manifests import strict
from tests.kubernetes import chart
from tests.kubernetes.chart import SETS, containers, only, pods, rendered
from tests.ops import compose

pytestmark = pytest.mark.night

KUBERNETES = "1.37.0"
DEFINITIONS = [yaml.safe_load(file.read_text()) for file in sorted((chart.HERE / "crds").glob("*.yaml"))]
SCHEMAS = {(f"{one['group']}/{one['version']}", one["kind"]): strict(one["spec"]) for one in DEFINITIONS}
# Part of the chart → service of docker-compose.yml.
SERVICES = {"web": "web", "worker": "worker", "clock": "beat", "migrate": "migrate", "nginx": "nginx"}
STORES = {"postgres", "redis", "s3"}
IN_COMPOSE = {"DOVETAIL_SECRET_KEY": "k", "DOVETAIL_PUBLIC_URL": "https://hub.example.org", "DOVETAIL_PORT": "80"}
IN_COMPOSE |= dict.fromkeys(("POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"), "abc")


def each(*kinds: str):
    """Return (set, object) for the objects of these kinds, each once however many sets render it alike."""
    seen = {}
    for name in SETS:
        for document in rendered(name):
            if not kinds or document["kind"] in kinds:
                seen.setdefault(json.dumps(document, sort_keys=True, default=str), (name, document))
    return list(seen.values())


def component(document) -> str:
    return document["metadata"]["labels"]["app.kubernetes.io/component"]


@pytest.mark.parametrize("name", SETS)
def test_helm_finds_nothing_to_complain_of(name: str) -> None:
    done = chart.run("lint", str(chart.CHART), "--strict", "--quiet", files=SETS[name])
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout


def test_all_objects_are_valid_by_the_strict_schemas_of_their_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    import jsonschema  # type: ignore[import-untyped]  # it has no types
    import kubernetes_validate  # type: ignore[import-untyped]  # it has no types

    module = kubernetes_validate.utils
    monkeypatch.setattr(module, "schema_contents", cache(module.schema_contents))  # 1.8 MB, for each object
    used = set()
    for name, document in each():
        kind = (document["apiVersion"], document["kind"])
        if kind not in SCHEMAS:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
            continue
        used.add(kind)
        try:
            jsonschema.validate(document["spec"], SCHEMAS[kind])
        except jsonschema.ValidationError as problem:
            raise AssertionError(f"{kind} of {name}: {problem}") from problem
        if document["kind"] == "ScaledJob":
            job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}}
            kubernetes_validate.validate(job | {"spec": document["spec"]["jobTargetRef"]}, KUBERNETES, strict=True)
    assert used == set(SCHEMAS)


def test_schemas_refuse_what_is_not_there() -> None:
    import jsonschema

    broken = json.loads(json.dumps(only("keda", "ScaledObject", "-cpu")["spec"]))
    broken["triggers"][0]["metdata"] = {}
    with pytest.raises(jsonschema.ValidationError, match="metdata"):
        jsonschema.validate(broken, SCHEMAS["keda.sh/v1alpha1", "ScaledObject"])


@pytest.mark.parametrize("name", SETS)
def test_no_pod_has_rights_to_spare(name: str) -> None:
    for owner, template in pods(name):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, owner
        assert spec["enableServiceLinks"] is False, f"{owner}: DOVETAIL_PORT of a Service would be an unknown setting"
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not [volume for volume in spec.get("volumes", ()) if "hostPath" in volume]
        for container in containers(template):
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert {**spec["securityContext"], **rights}["runAsUser"] > 0
            assert container["resources"]["limits"]["memory"], container["name"]
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}


@pytest.mark.parametrize("name", SETS)
def test_what_an_object_names_is_there(name: str) -> None:
    objects = {(document["kind"], document["metadata"]["name"]) for document in rendered(name)}
    outside = {("Secret", "hub-secrets"), ("PersistentVolumeClaim", "bases"), ("ConfigMap", "ca")}
    labels = [template["metadata"]["labels"] for _, template in pods(name)]
    ports = {
        port["name"] for _, template in pods(name) for one in containers(template) for port in one.get("ports", ())
    }
    for owner, template in pods(name):
        spec = template["spec"]
        claims = {claim["metadata"]["name"] for claim in claims_of(name, owner)}
        assert mounts(template) == {volume["name"] for volume in spec.get("volumes", ())} | claims, owner
        assert references(template) - objects <= outside, owner
    for document in rendered(name):
        spec = document.get("spec", {})
        if document["kind"] == "Service":
            assert any(spec["selector"].items() <= one.items() for one in labels)
            assert {port["targetPort"] for port in spec["ports"]} <= ports
        elif document["kind"] in ("Deployment", "StatefulSet"):
            assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        elif document["kind"] == "PodDisruptionBudget":
            assert any(spec["selector"]["matchLabels"].items() <= one.items() for one in labels)
        elif document["kind"] == "ScaledObject":
            assert ("Deployment", spec["scaleTargetRef"]["name"]) in objects


def claims_of(name: str, owner: str):
    sets = [one for one in rendered(name) if one["kind"] == "StatefulSet" and one["metadata"]["name"] == owner]
    return [claim for one in sets for claim in one["spec"]["volumeClaimTemplates"]]


def mounts(template) -> set[str]:
    return {mount["name"] for container in containers(template) for mount in container.get("volumeMounts", ())}


def references(template) -> set[tuple[str, str]]:
    """Return the objects that a pod needs, by kind and name."""
    spec = template["spec"]
    named = {("ServiceAccount", spec["serviceAccountName"])} if "serviceAccountName" in spec else set()
    for volume in spec.get("volumes", ()):
        if "persistentVolumeClaim" in volume:
            named.add(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
        if "configMap" in volume:
            named.add(("ConfigMap", volume["configMap"]["name"]))
    for container in containers(template):
        for source in container.get("envFrom", ()):
            named |= {("ConfigMap" if key == "configMapRef" else "Secret", one["name"]) for key, one in source.items()}
        secrets = [one["valueFrom"]["secretKeyRef"] for one in container.get("env", ()) if "valueFrom" in one]
        named |= {("Secret", one["name"]) for one in secrets}
    return named


# --- commands and probes ---------------------------------------------------------------------------------------------
def test_containers_run_the_commands_of_the_compose_file() -> None:
    found = {}
    for _, template in [*pods("in-cluster"), *pods("keda")]:
        for container in template["spec"]["containers"]:
            found[container["name"]] = container.get("command") or container["args"]
    for part, service in SERVICES.items():
        assert found[part] == compose.command(service, IN_COMPOSE), part
    assert found["postgres"] == compose.command("postgres", IN_COMPOSE)
    assert found["redis"] == compose.command("redis", IN_COMPOSE)
    theirs = compose.command("s3", IN_COMPOSE)
    assert [word.replace("-ip=127.0.0.1", "-ip=s3") for word in found["s3"]] == theirs


def test_files_that_commands_name_are_in_the_images() -> None:
    for _, document in each("Deployment", "StatefulSet", "Job", "CronJob", "Pod", "ScaledJob"):
        for container in containers(chart.pod(document)):
            lists = [
                container.get("command", ()),
                *(probe.get("exec", {}).get("command", ()) for probe in probes(container)),
            ]
            files = [word for words in lists for word in words if word.startswith(("deploy/", "manage.py"))]
            assert [file for file in files if not (ROOT / file).exists()] == []


def probes(container) -> list[dict]:
    return [container[name] for name in ("startupProbe", "readinessProbe", "livenessProbe") if name in container]


def test_probes_ask_what_is_there() -> None:
    checks = {name: service["healthcheck"].get("test", [])[1:] for name, service in compose.services().items()}
    asked = set()
    for _, template in [*pods("in-cluster"), *pods("gateway"), *pods("keda")]:
        for container in template["spec"]["containers"]:
            for probe in probes(container):
                if "exec" in probe:
                    assert probe["exec"]["command"] in (*checks.values(), ["python", "deploy/alive.py", "beating"])
                else:
                    [(kind, where)] = [(kind, probe[kind]) for kind in ("httpGet", "tcpSocket") if kind in probe]
                    assert where["port"] in {port["name"] for port in container["ports"]}
                    asked.add((container["name"], where.get("path", "") if kind == "httpGet" else "tcp"))
    for name, path in asked:
        if name == "s3":
            assert path == "tcp" or checks["s3"][-1].endswith(path)
        elif path != "tcp":
            assert resolve(path).url_name or resolve(path).func
    assert ("web", "/livez") in asked
    assert ("nginx", "/livez") in asked
    assert not [path for _, path in asked if path == "/readyz"], "a worker that is down must not take the pages away"


def test_the_chart_is_of_the_hubs_release() -> None:
    described = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
    text = (ROOT / "hub/about.py").read_text()
    assert f'VERSION = "{described["appVersion"]}"' in text
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    for name in ("nginx", *STORES):
        image = values["images"][name]
        assert f"{image['repository']}:{image['tag']}@{image['digest']}" == compose.services()[name]["image"]
