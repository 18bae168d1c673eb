"""The surroundings of the pods: network policies, migrations, the scaling of workers, monitoring."""

import json
from datetime import timedelta

import pytest
import yaml
from django.db import connection
from django.utils import timezone

from ops.sentences import ROOT
from registry.models import Base, Revision, Verdict
from tests.cast import assemble
from tests.kubernetes import chart
from tests.kubernetes.chart import only, pods, rendered
from tests.ops import compose

pytestmark = pytest.mark.night


# --- network ---------------------------------------------------------------------------------------------------------
def selects(selector: dict, labels: dict) -> bool:
    for rule in selector.get("matchExpressions", ()):
        inside = labels.get(rule["key"]) in rule["values"]
        if inside != (rule["operator"] == "In"):
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def policies(name: str, labels: dict, direction: str) -> list[dict]:
    chosen = [document["spec"] for document in rendered(name) if document["kind"] == "NetworkPolicy"]
    return [one for one in chosen if direction in one["policyTypes"] and selects(one["podSelector"], labels)]


def rules(name: str, labels: dict, direction: str) -> list[dict]:
    return [rule for one in policies(name, labels, direction.title()) for rule in one.get(direction, ())]


def labels_of(name: str) -> dict[str, dict]:
    """Return the labels of the pods by what they are."""
    every = [template["metadata"]["labels"] for _, template in pods(name)]
    return {labels["app.kubernetes.io/component"]: labels for labels in every}


@pytest.mark.parametrize("name", ["in-cluster", "external", "watched", "keda"])
def test_only_what_asks_others_reaches_outside(name: str) -> None:
    egress = {service for service, one in compose.services().items() if "egress" in one["networks"]}
    assert egress == {"web", "beat", "manage"}
    outside = set()
    for component, labels in labels_of(name).items():
        assert policies(name, labels, "Egress"), "nothing is allowed unless a policy says so"
        assert policies(name, labels, "Ingress")
        peers = [
            peer for one in policies(name, labels, "Egress") for rule in one.get("egress", ()) for peer in rule["to"]
        ]
        if any(peer.get("ipBlock", {}).get("cidr") in ("0.0.0.0/0", "::/0") for peer in peers):
            outside.add(component)
    assert outside - {"backup"} == {"web", "clock", "manage"}


def test_workers_reach_the_stores_and_names_alone() -> None:
    for name in ("in-cluster", "external"):
        allowed = rules(name, labels_of(name)["worker-cpu"], "egress")
        ports = {port["port"] for rule in allowed for port in rule["ports"]}
        assert ports == ({53, 5432, 6379, 8333} if name == "in-cluster" else {53, 5432, 6379, 443})


def test_a_store_is_reached_by_the_hub_alone_and_on_one_port() -> None:
    labels = labels_of("keda")
    for store, port in {"postgres": 5432, "redis": 6379, "s3": 8333}.items():
        assert not rules("keda", labels[store], "egress")
        [rule] = rules("keda", labels[store], "ingress")
        assert [one["port"] for one in rule["ports"]] == [port]
        selectors = [peer["podSelector"] for peer in rule["from"] if "podSelector" in peer]
        allowed = {name for name, one in labels.items() if any(selects(selector, one) for selector in selectors)}
        assert {"web", "worker-cpu", "clock", "migrate", "manage"} <= allowed
        assert not allowed & {"postgres", "redis", "s3"}
        assert len(rule["from"]) == (2 if store == "postgres" else 1), "KEDA asks PostgreSQL"


def test_nginx_is_reached_by_clients_and_metrics_by_prometheus_alone() -> None:
    allowed = rules("watched", labels_of("watched")["web"], "ingress")
    by_port = {rule["ports"][0]["port"]: rule.get("from") for rule in allowed}
    assert by_port["http"] is None
    [prometheus] = by_port["hub"]
    assert prometheus["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    [rule] = rules("ingress", labels_of("ingress")["web"], "ingress")
    assert len(rule["from"]) == 2, "the controller's pods, and the one of helm test"


def test_nginx_is_the_one_proxy_and_knows_those_before_it() -> None:
    _, nginx = only("ingress", "Deployment", "-web")["spec"]["template"]["spec"]["containers"]
    given = chart.environment("ingress", nginx)
    assert given["OUTER_PROXIES"] == "10.1.0.0/16,192.0.2.10"
    assert given["HUB_SERVERS"] == "127.0.0.1:8000"
    assert given["S3_SERVERS"] == "hub-dovetail-s3:8333"
    assert given["PLANE"] == "http://hub-dovetail-s3:8333/dovetail-blobs/plane"


@pytest.mark.parametrize(("name", "kind"), [("ingress", "Ingress"), ("gateway", "HTTPRoute")])
def test_a_road_from_outside_leads_to_nginx_under_the_public_name(name: str, kind: str) -> None:
    text = json.dumps(only(name, kind)["spec"])
    assert '"hub.example.org"' in text
    service = only(name, "Service", "hub-dovetail")
    assert f'"name": "{service["metadata"]["name"]}"' in text
    assert service["spec"]["ports"][0]["targetPort"] == "http"


# --- migrations ------------------------------------------------------------------------------------------------------
def test_tables_change_before_pods_do() -> None:
    job = only("external", "Job", "-migrate")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    needed = {("ConfigMap", "hub-dovetail-migrate"), ("Secret", "hub-dovetail-migrate")}
    for document in rendered("external"):
        if (document["kind"], document["metadata"]["name"]) in needed:
            annotations = document["metadata"]["annotations"]
            assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
            assert int(annotations["helm.sh/hook-weight"]) < int(job["metadata"]["annotations"]["helm.sh/hook-weight"])
            needed.remove((document["kind"], document["metadata"]["name"]))
    assert not needed
    assert "serviceAccountName" not in job["spec"]["template"]["spec"], "there is none yet"


def test_tables_of_the_releases_own_database_come_with_it_first_and_before_later_upgrades() -> None:
    first = only("in-cluster", "Job", "-first-tables")
    assert "annotations" not in first["metadata"], "as a hook it would wait for a database that comes after it"
    later = only("in-cluster", "Job", "-migrate", "--is-upgrade")
    assert later["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


@pytest.mark.parametrize("part", ["web", "worker-cpu", "clock"])
def test_pods_wait_for_the_tables_of_their_release(part: str) -> None:
    first = only("in-cluster", "Deployment", f"-{part}")["spec"]["template"]["spec"]["initContainers"][0]
    assert "migrate --check" in first["command"][-1]


# --- scaling ---------------------------------------------------------------------------------------------------------
def query(kind: str, ending: str) -> str:
    [trigger] = only("keda", kind, ending)["spec"]["triggers"]
    return trigger["metadata"]["query"]


def counted(text: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(text.replace("%", "%%"))
        return cursor.fetchone()[0]


@pytest.fixture
def wait(db):
    """Queue a verdict about a base."""
    cast, made = assemble(), iter(range(1000))

    def queue(base: str, **columns) -> None:
        number = next(made)
        repository = cast.repository(f"alice/a{number}", by="alice")
        revision = Revision.objects.create(
            repository=repository, oid=f"{number:040x}", title="push", author=cast["alice"]
        )
        Verdict.objects.create(revision=revision, base=base, route=base.lower(), **columns)

    return queue


def test_rows_that_wait_for_a_worker_are_counted_for_the_group_of_their_base(db, wait) -> None:
    for base in ("tiny/base", "Meta-Llama/Llama-3.1-70B", "O'Neil/Base"):
        Base.objects.create(id=base, revision="1", sha256="0" * 64)
    Base.objects.create(id="tiny/config-alone", revision="1", sha256="0" * 64, has_weights=False)
    cpu, gpu = query("ScaledObject", "-cpu"), query("ScaledJob", "-gpu")
    assert (counted(cpu), counted(gpu)) == (0, 0)
    wait("tiny/base", turn=1)
    wait("tiny/base", reason="No worker has this base.")  # set aside, as nothing runs yet
    wait("", turn=2)
    wait("Meta-Llama/Llama-3.1-70B", turn=3)
    wait("O'Neil/Base", state="running", lease_until=timezone.now())
    assert (counted(cpu), counted(gpu)) == (3, 2)
    wait("tiny/base", held_at=timezone.now())
    wait("tiny/base", not_before=timezone.now() + timedelta(minutes=1))
    wait("tiny/base", state="passed", finished_at=timezone.now())
    wait("tiny/never-added")
    wait("tiny/config-alone")
    assert (counted(cpu), counted(gpu)) == (3, 2), "a pod would find nothing to do"


def test_a_job_ends_when_nothing_waits_and_belongs_to_the_queue_of_its_cluster() -> None:
    job = only("keda", "ScaledJob", "-gpu")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
    template = job["spec"]["jobTargetRef"]["template"]["spec"]
    assert template["restartPolicy"] == "Never"
    [worker] = template["containers"]
    given = chart.environment("keda", worker)
    assert given["DOVETAIL_WORKER_IDLE_SECONDS"] == "300"
    assert (given["DOVETAIL_ENGINE_DEVICE"], given["DOVETAIL_ENGINE_SECONDS"]) == ("cuda", "600")
    assert given["DOVETAIL_ENGINES_MEASURED"] == "off"
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert worker["image"].startswith("dovetail-worker-cuda:")
    [shelf] = [mount for mount in worker["volumeMounts"] if mount["name"] == "shelf"]
    assert (shelf["subPath"], shelf["readOnly"]) == ("gpu", True)


def test_who_scales_a_deployment_alone_says_its_size() -> None:
    assert "replicas" not in only("keda", "Deployment", "-worker-cpu")["spec"]
    assert only("gpu", "Deployment", "-worker-gpu")["spec"]["replicas"] == 2
    [secret] = only("keda, external", "TriggerAuthentication")["spec"]["secretTargetRef"]
    assert (secret["parameter"], secret["key"]) == ("connection", "DOVETAIL_DATABASE_URL")
    [trigger] = only("keda", "ScaledObject", "-cpu")["spec"]["triggers"]
    assert trigger["metadata"]["host"] == "hub-dovetail-postgres.hubs.svc", "KEDA is in a namespace of its own"


# --- monitoring ------------------------------------------------------------------------------------------------------
def test_alarms_and_the_dashboard_are_those_of_the_hub() -> None:
    alarms = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    assert only("watched", "PrometheusRule")["spec"]["groups"] == alarms["groups"]
    board = only("watched", "ConfigMap", "-dashboard")["data"]["dovetail.json"]
    assert board == (ROOT / "deploy/prometheus/dashboard.json").read_text()


def test_prometheus_is_let_in_by_the_token() -> None:
    monitor = only("watched", "ServiceMonitor")["spec"]
    [endpoint] = monitor["endpoints"]
    service = only("watched", "Service", "-metrics")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["authorization"]["credentials"] == {"name": "hub-dovetail", "key": "DOVETAIL_METRICS_TOKEN"}
