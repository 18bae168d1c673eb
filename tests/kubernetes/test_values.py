"""Settings and values of the chart: what docs/settings.md says reaches every pod, what would not work is refused."""

import json
import re
from pathlib import Path

import pytest
import yaml

from hub import settings
from ops.sentences import ROOT
from tests.kubernetes import chart
from tests.kubernetes.chart import SETS, containers, only, pods

pytestmark = pytest.mark.night

SCHEMA = json.loads((chart.CHART / "values.schema.json").read_text())
PAGES = [ROOT / "docs/settings.md", *ROOT.glob("features/*/docs/settings.md")]
DOCUMENTED = [
    name for page in PAGES for name in re.findall(r"^### `(DOVETAIL_\w[^`]*)`", page.read_text(), re.MULTILINE)
]
FIXED = {
    f"DOVETAIL_{name}"
    for name in ("PRODUCTION", "DATA", "SHELF", "ENGINES", "STATIC_ROOT", "TRUSTED_PROXIES", "PROXY_HEADER")
}
# Of the parts: web.processes, and what a group of workers says.
OF_PARTS = {
    f"DOVETAIL_{name}" for name in ("WEB_PROCESSES", "ENGINE_DEVICE", "WORKER_CONCURRENCY", "WORKER_IDLE_SECONDS")
}
# Of `make up` alone: production refuses the first, and the second needs a store of files.
NOT_HERE = {"DOVETAIL_DEBUG", "DOVETAIL_ACCEL_REDIRECT"}


def takes(part: str, name: str) -> bool:
    schema = SCHEMA["properties"][part]
    return name in schema["properties"] or any(re.search(one, name) for one in schema["patternProperties"])


def test_every_setting_of_the_docs_reaches_every_pod_of_the_hub(tmp_path: Path) -> None:
    names = {name.replace("{NAME}", "CORP") for name in DOCUMENTED} - FIXED - OF_PARTS - NOT_HERE
    assert [name for name in names if takes("settings", name) == takes("secrets", name)] == []
    given = {part: {name: f"s3://{name}" for name in names if takes(part, name)} for part in ("settings", "secrets")}
    given["settings"]["DOVETAIL_PUBLIC_URL"] = "https://hub.example.org"
    (tmp_path / "all.yaml").write_text(json.dumps(given))
    done = chart.run(
        "template", "hub", str(chart.CHART), f"--values={tmp_path}/all.yaml",
        "--set=backup.enabled=true,backup.blobs=s3://b", "--set=secrets.AWS_ACCESS_KEY_ID=a",
        "--set=secrets.AWS_SECRET_ACCESS_KEY=b", "--set=networkPolicy.enabled=false",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    data = {(one["kind"], one["metadata"]["name"]): one.get("data") or one.get("stringData") for one in documents}
    reached = set()
    for document in documents:
        template = chart.pod(document)
        for container in containers(template) if template else ():
            if "envFrom" not in container:
                continue
            reached.add(container["name"])
            [settings_of, secrets_of] = container["envFrom"]
            values = (
                data["ConfigMap", settings_of["configMapRef"]["name"]] | data["Secret", secrets_of["secretRef"]["name"]]
            )
            assert {name for name in names if values.get(name) != (given["settings"] | given["secrets"])[name]} == set()
            assert not {entry["name"] for entry in container["env"]} & names, "the pod's own would come after it"
    assert reached == {"tables", "web", "worker", "clock", "manage", "migrate"}


def test_the_schema_knows_the_settings_of_the_docs_and_no_others() -> None:
    known = {name for part in ("settings", "secrets") for name in SCHEMA["properties"][part]["properties"]}
    of_stores = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    plain = {name for name in DOCUMENTED if "{" not in name}
    assert known - of_stores == plain - FIXED - OF_PARTS - NOT_HERE
    of_a_group = set(SCHEMA["definitions"]["groupSettings"]["properties"])
    assert of_a_group <= known


@pytest.mark.parametrize("name", SETS)
def test_the_environment_of_a_pod_holds_settings_that_exist(name: str) -> None:
    for owner, template in pods(name):
        for container in containers(template):
            if "envFrom" in container:
                given = chart.environment(name, container)
                unknown = {one for one in given if one.startswith("DOVETAIL_")} - settings.env.names
                assert unknown == set(), owner
                assert FIXED - given.keys() == set()
                assert "$(" not in "".join(given.values())


def test_values_are_written_as_the_hub_reads_them() -> None:
    options = ("--set=settings.DOVETAIL_MAX_FILE_BYTES=5368709120", "--set=settings.DOVETAIL_THROTTLE=false")
    data = only("external", "ConfigMap", "hub-dovetail", *options)["data"]
    assert (data["DOVETAIL_MAX_FILE_BYTES"], data["DOVETAIL_THROTTLE"]) == ("5368709120", "off")
    web = [only("external", "Deployment", "-web", *more)["spec"]["template"] for more in ((), options)]
    assert web[0]["metadata"]["annotations"] != web[1]["metadata"]["annotations"], "pods read settings at their start"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--set=settings.DOVETAIL_THROTLE=on",), "DOVETAIL_THROTLE"),
        (("--set=settings.DOVETAIL_DATA=/x",), "DOVETAIL_DATA"),
        (("--set=settings.DOVETAIL_SECRET_KEY=x",), "DOVETAIL_SECRET_KEY"),
        (("--set=settings.DOVETAIL_PUBLIC_URL=",), "DOVETAIL_PUBLIC_URL is missing"),
        (("--set=secrets.DOVETAIL_SECRET_KEY=",), "secrets.DOVETAIL_SECRET_KEY is missing"),
        (("--set=secrets.DOVETAIL_DATABASE_URL=",), "secrets.DOVETAIL_DATABASE_URL is missing"),
        (("--set=postgres.enabled=true",), "secrets.POSTGRES_PASSWORD is missing"),
        (("--set=postgres.enabled=true", "--set=secrets.POSTGRES_PASSWORD=a@b"), "POSTGRES_PASSWORD"),
        (("--set=s3.enabled=true",), "Bytes are kept in one place"),
        (("--set=settings.DOVETAIL_BLOBS=",), "Bytes are kept in one place"),
        (("--set-json=networkPolicy.stores=[]",), "networkPolicy.stores must name"),
        (("--set=workers.big.kind=job",), "workers.big is a job"),
        (("--set=workers.cpu.replica=2",), "replica"),
        (("--set=serviceMonitor.enabled=true",), "DOVETAIL_METRICS_TOKEN"),
        (("--set=backup.enabled=true",), "backup.blobs must name"),
        (("--set=web.nginx.plane=https://s3.example.org/b/plane",), "settings.DOVETAIL_PLANE_URL"),
        (("--set=web.nginx.plane=s3.example.org",), "plane"),
        (("--set=gateway.enabled=true",), "gateway.parentRefs must name"),
        (("--set=web.resources.limits=null",), "resources"),
    ],
)
def test_values_that_would_not_work_are_refused_with_their_name(options, sentence) -> None:
    assert sentence in chart.refusal(*options)


def test_web_scales_by_its_processor_and_then_has_no_number_of_its_own() -> None:
    assert only("external", "Deployment", "-web")["spec"]["replicas"] == 2
    scaled = only("external", "Deployment", "-web", "--set", "web.scale.max=8")
    assert "replicas" not in scaled["spec"], "an upgrade would undo what was scaled"
    scaler = only("external", "HorizontalPodAutoscaler", "-web", "--set", "web.scale.max=8")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 8)
    assert scaler["scaleTargetRef"]["name"] == scaled["metadata"]["name"]


def test_rights_of_the_cloud_take_the_place_of_keys() -> None:
    role = "serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn=arn:aws:iam::1:role/hub"
    no_keys = ("--set", "secrets.AWS_ACCESS_KEY_ID=", "--set", "secrets.AWS_SECRET_ACCESS_KEY=")
    assert "secrets.AWS_ACCESS_KEY_ID is missing" in chart.refusal(*no_keys)
    account = only("external", "ServiceAccount", "", "--set", role, *no_keys)
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/hub"}


def test_web_clock_and_workers_have_priorities_of_their_own() -> None:
    parts = {"web": "web", "clock": "clock", "workerDefaults": "worker-cpu"}
    options = [f"--set={part}.priorityClassName=of-{part}" for part in parts]
    for part, name in parts.items():
        spec = only("external", "Deployment", f"-{name}", *options)["spec"]["template"]["spec"]
        assert spec["priorityClassName"] == f"of-{part}"


def test_a_worker_is_ended_only_if_its_main_process_hangs() -> None:
    [worker] = only("external", "Deployment", "-worker-cpu")["spec"]["template"]["spec"]["containers"]
    assert worker["livenessProbe"]["exec"]["command"][-1] == "beating"
    assert worker["readinessProbe"]["exec"]["command"][-1] == "worker"


def test_a_migration_has_a_deadline() -> None:
    job = only("external", "Job", "-migrate", "--set", "migrateSeconds=900")
    assert job["spec"]["activeDeadlineSeconds"] == 900
