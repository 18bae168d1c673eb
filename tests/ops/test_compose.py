"""The compose file without a Docker: what it names exists, and no container has more rights than it needs."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub import settings
from hub.environment import OTHER_NAMES
from ops.sentences import ROOT
from tests.ops import compose

SERVICES: dict[str, Any] = compose.services()
OURS = ("web", "worker", "beat", "migrate", "manage")
FIXED = {  # by what the containers are
    f"DOVETAIL_{name}"
    for name in ("PRODUCTION", "DATA", "SHELF", "ENGINES", "STATIC_ROOT", "TRUSTED_PROXIES", "PROXY_HEADER")
}
FILLED = {
    "DOVETAIL_SECRET_KEY": "k" * 50,
    "DOVETAIL_PUBLIC_URL": "https://hub.example.org",
    "DOVETAIL_PORT": "80",
} | dict.fromkeys(("POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"), "abc")
ENDLESS = [name for name, service in SERVICES.items() if service.get("restart") != "no"]


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_named_by_exact_release(name: str) -> None:
    image = SERVICES[name]["image"]
    digest = "" if image.startswith("dovetail-") else "@sha256:[0-9a-f]{64}"
    assert re.fullmatch(rf"[a-z0-9/-]+:\d+(\.\d+)+(-bookworm)?{digest}", image), image


@pytest.mark.parametrize("file", ["web", "worker"])
def test_our_images_start_from_an_exact_release(file: str) -> None:
    text = (ROOT / f"deploy/{file}.Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert re.fullmatch("python:3.11.13-slim-bookworm@sha256:[0-9a-f]{64}", stages.pop())
    assert stages in ([], [SERVICES["postgres"]["image"]]), "pg_dump must be of the server's release"
    assert text.rstrip().endswith("USER 10001:10001")
    copied = {path for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for path in line.split()}
    assert {path for path in copied if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_rights_to_spare(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) > 0
    assert not {"privileged", "cap_add", "pid", "ipc", "devices", "network_mode"} & set(service)


@pytest.mark.parametrize("name", ENDLESS)
def test_a_service_that_goes_on_says_whether_it_is_well(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check.keys() >= {"interval", "timeout", "retries"}


def test_only_nginx_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert [name for name, service in SERVICES.items() if "front" in service["networks"]] == ["nginx"]


def test_only_what_asks_others_reaches_outside() -> None:
    networks = compose.file()["networks"]
    assert networks["back"]["internal"] is True
    # Without it this machine has an address in the network, where what listens on all addresses is reached by a worker.
    assert networks["back"]["driver_opts"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}
    assert [name for name, network in networks.items() if not (network or {}).get("internal")] == ["front", "egress"]
    assert {name for name, service in SERVICES.items() if "egress" in service["networks"]} == {"web", "beat", "manage"}
    assert {name for name, service in SERVICES.items() if "back" in service["networks"]} == set(SERVICES)


def test_volumes_and_mounted_files_exist() -> None:
    known = set(compose.file()["volumes"])
    written = (volume for service in SERVICES.values() for volume in service.get("volumes", []))
    mounted = {compose.fill(volume, {}).split(":")[0] for volume in written}
    assert {one for one in mounted if one[0] not in "./"} == known
    assert {one for one in mounted if one.startswith("./") and not (ROOT / one).exists()} == set()


def test_every_setting_of_the_docs_reaches_every_service_of_the_hub() -> None:
    documented = set(re.findall(r"^### `(DOVETAIL_\w[^`]*)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
    names = {name.replace("{NAME}", "CORP") for name in documented}
    dotenv = FILLED | {name: f"a value of {name}" for name in names}
    for service in OURS:
        given = compose.environment(service, dotenv)
        assert {name for name in names if given.get(name) != dotenv[name]} == FIXED


def test_the_settings_that_the_file_fixes_are_known_to_the_hub() -> None:
    assert FIXED - settings.env.names == set()
    assert "DOVETAIL_PORT" in OTHER_NAMES, ".env names it, and all of .env reaches the hub"


def test_stores_may_be_elsewhere() -> None:
    elsewhere = {
        "DOVETAIL_DATABASE_URL": "postgres://hub:pw@db.example.org/hub",
        "DOVETAIL_BROKER_URL": "rediss://:pw@redis.example.org:6379/0",
        "DOVETAIL_BLOBS": "s3://bucket?endpoint=https://s3.example.org",
    }
    for service in OURS:
        given = compose.environment(service, FILLED | elsewhere)
        assert {name: given[name] for name in elsewhere} == elsewhere
    stores = {"postgres", "redis", "s3"}
    assert {name for name in stores if SERVICES[name]["profiles"] == [name]} == stores
    waits = [service.get("depends_on", {}) for service in SERVICES.values()]
    assert all(one["required"] is False for waiting in waits for name, one in waiting.items() if name in stores)
    assert compose.environment("nginx", FILLED | {"S3_SERVERS": ""})["S3_SERVERS"] == ""


def test_what_runs_is_bounded() -> None:
    for name, service in SERVICES.items():
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_every_secret_must_be_given_and_none_is_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in (
        "DOVETAIL_SECRET_KEY",
        "DOVETAIL_PUBLIC_URL",
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
    ):
        uses = re.findall(rf"\$\{{{secret}[^}}]*\}}", text)
        assert uses
        assert any(":?" in use for use in uses), f"{secret} may be empty"
    example = dict(
        line.split("=", 1) for line in (ROOT / "deploy/env.example").read_text().splitlines() if re.match(r"\w+=", line)
    )
    elsewhere = {"DOVETAIL_DATABASE_URL", "DOVETAIL_BROKER_URL", "DOVETAIL_BLOBS"}
    assert set(re.findall(r"\$\{(\w+)", text)) - elsewhere == set(example) - {"COMPOSE_PROFILES"}
    assert set(example["COMPOSE_PROFILES"].split(",")) == {"postgres", "redis", "s3"}
    assert [name for name, value in example.items() if value and ("SECRET" in name or "PASSWORD" in name)] == []


def test_services_reach_each_other_by_names_that_exist() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    hosts = set(re.findall(r"(?:@|//|SERVERS: |SERVERS-)([a-z][a-z0-9]*):\d+(?![0-9a-f])", text))
    assert hosts == {"postgres", "redis", "s3", "web"}
    assert hosts <= set(SERVICES)


def test_what_nginx_listens_on_is_what_is_published() -> None:
    [published] = SERVICES["nginx"]["ports"]
    assert published.endswith(f":{SERVICES['nginx']['environment']['NGINX_LISTEN']}")


def test_the_trusted_proxy_is_nginx() -> None:
    address = SERVICES["nginx"]["networks"]["back"]["ipv4_address"]
    assert SERVICES["web"]["environment"]["DOVETAIL_TRUSTED_PROXIES"] == address
    assert compose.fill(address, {"SUBNET": "10.1.2"}) == "10.1.2.2"
    [pool] = compose.file()["networks"]["back"]["ipam"]["config"]
    given = ip_network(compose.fill(pool["ip_range"], {}))
    assert given.subnet_of(ip_network(compose.fill(pool["subnet"], {})))
    assert ip_address(compose.fill(address, {})) not in given, "Docker might give it to another service"


def test_what_images_leave_out_is_what_they_do_not_copy() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set()
    for file in Path(ROOT / "deploy").glob("*.Dockerfile"):
        copied |= {line.split()[1] for line in file.read_text().splitlines() if re.match("COPY (?!--from)", line)}
    assert copied == kept


def test_a_changed_size_of_one_service_starts_no_other_anew() -> None:
    sizes = re.findall(r"^(\w+_(?:REPLICAS|MEMORY|CPUS))=", (ROOT / "deploy/env.example").read_text(), re.MULTILINE)
    assert len(sizes) == 10
    for service in OURS:
        given = compose.environment(service, FILLED | dict.fromkeys(sizes, "3"))
        assert {given[name] for name in sizes} == {""}


def test_there_is_one_clock() -> None:
    assert "--clock" not in SERVICES["worker"]["command"]
    assert "deploy" not in SERVICES["beat"]
    assert compose.fill(SERVICES["web"]["deploy"]["replicas"], {"WEB_REPLICAS": "4"}) == "4", (
        "an upgrade keeps the scale"
    )


def test_the_file_is_yaml_without_duplicate_keys() -> None:
    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict:
        keys = [loader.construct_object(key) for key, _ in node.value if key.value != "<<"]
        assert len(keys) == len(set(keys)), f"twice the same key in {node.start_mark}"
        loader.flatten_mapping(node)
        return {loader.construct_object(key): loader.construct_object(value, deep=True) for key, value in node.value}

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    yaml.load((ROOT / "docker-compose.yml").read_text(), Strict)  # a subclass of the safe loader
