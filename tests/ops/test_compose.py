"""The compose file without a Docker: what it names exists, and no container has more rights than it needs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub import settings
from ops.sentences import ROOT
from tests.ops import compose

SERVICES: dict[str, Any] = compose.services()
OURS = ("web", "worker", "beat", "migrate", "manage")
ENDLESS = [name for name, service in SERVICES.items() if service.get("restart") != "no"]


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_named_by_exact_release(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"[a-z0-9/-]+:\d+(\.\d+)+(@sha256:[0-9a-f]{64})?", image), image


@pytest.mark.parametrize("file", ["web", "worker"])
def test_our_images_start_from_an_exact_release(file: str) -> None:
    text = (ROOT / f"deploy/{file}.Dockerfile").read_text()
    assert re.findall(r"^FROM (.+)$", text, re.MULTILINE) == ["python:3.11.13-slim-bookworm"]
    assert text.rstrip().endswith("USER 10001:10001")
    copied = {path for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for path in line.split()}
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
    assert [name for name, service in SERVICES.items() if "front" in service["networks"]] == ["nginx", "manage"]
    assert compose.file()["networks"]["back"]["internal"] is True


def test_volumes_and_mounted_files_exist() -> None:
    known = set(compose.file()["volumes"])
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {one for one in mounted if not one.startswith("./")} == known
    assert {one for one in mounted if one.startswith("./") and not (ROOT / one).exists()} == set()


@pytest.mark.parametrize("name", OURS)
def test_every_setting_in_the_file_is_one_that_the_hub_knows(name: str) -> None:
    ours = {key for key in SERVICES[name]["environment"] if key.startswith("DOVETAIL_")}
    assert ours - settings.env.names == set()
    assert {"DOVETAIL_PRODUCTION", "DOVETAIL_SECRET_KEY", "DOVETAIL_DATABASE_URL", "DOVETAIL_BLOBS"} <= ours


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
    assert set(re.findall(r"\$\{(\w+)", text)) == set(example)
    assert [name for name, value in example.items() if value and ("SECRET" in name or "PASSWORD" in name)] == []


def test_services_reach_each_other_by_names_that_exist() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    hosts = set(re.findall(r"(?:@|//|SERVERS: )([a-z][a-z0-9]*):\d+", text))
    assert hosts == {"postgres", "redis", "s3", "web"}
    assert hosts <= set(SERVICES)


def test_what_nginx_listens_on_is_what_is_published() -> None:
    [published] = SERVICES["nginx"]["ports"]
    assert published.endswith(f":{SERVICES['nginx']['environment']['NGINX_LISTEN']}")


def test_the_trusted_proxy_is_nginx() -> None:
    address = SERVICES["nginx"]["networks"]["back"]["ipv4_address"]
    assert SERVICES["web"]["environment"]["DOVETAIL_TRUSTED_PROXIES"] == address


def test_what_images_leave_out_is_what_they_do_not_copy() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set()
    for file in Path(ROOT / "deploy").glob("*.Dockerfile"):
        copied |= {line.split()[1] for line in file.read_text().splitlines() if line.startswith("COPY")}
    assert copied == kept


def test_there_is_one_clock() -> None:
    assert "-B" not in SERVICES["worker"]["command"]
    assert "deploy" not in SERVICES["beat"]


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
