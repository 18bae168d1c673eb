"""Under the pull policy `verified` everything is told of a version; its files are for members until it passes."""

import json
from typing import Any
from urllib.parse import urlsplit

from django.test import Client

from registry.kernel import site_settings
from registry.models import Ref, Verdict
from tests.hf.wire import sha256
from tests.roads.roads import BATCH, LFS
from tests.roads.world import CONTENT, NAME, World

TOLD = (
    "/api/models/{id}", "/api/models/{id}/revision/{new}", "/api/models/{id}/tree/{new}", "/api/models/{id}/refs",
    "/api/models/{id}/commits/main", "/api/v1/adapters/{id}", "/api/v1/adapters/{id}/revisions/{new}",
    "/v2/{id}/tags/list", "/api/v1/adapters/{id}/revisions",
)  # fmt: skip
PAGES = ("/{id}", "/{id}/tree/{new}", "/{id}/commits/{new}", "/{id}/verdict/{new}", "/{id}/use")
LISTS = ("/api/models?author=acme", "/api/v1/adapters?q=held", "/adapters?q=held", "/acme", "/s3/acme?list-type=2")
BYTES = (
    "/{id}/resolve/{new}/weights.safetensors", "/{id}/resolve/{new}/README.md", "/{id}/raw/{new}/README.md",
    "/api/v1/adapters/{id}/revisions/{new}/files/README.md", "/api/v1/adapters/{id}/revisions/{new}/lock",
    "/s3/{id}/{new}/README.md", "/v2/{id}/manifests/{new}", "/api/models/{id}/xet-read-token/{new}",
    "/api/v1/adapters/{id}/compare/{new}...{new}", "/api/v1/adapters/{id}/revisions/{new}/weights",
)  # fmt: skip
BYTES_ON_PAGES = ("/{id}/blob/{new}/README.md",)
STRANGERS, MEMBERS = ("carol", "nobody"), ("alice", "bob", "erin")
SERVED = {200, 302}


def _at(path: str, world: World) -> str:
    return path.replace("{id}", NAME).replace("{new}", world.new.oid)


def _wrong(
    world: World, who: str, paths: tuple[str, ...], expected: set[int], *, by_browser: bool = False
) -> list[str]:
    clients = world.callers.browsers if by_browser else world.callers.programs
    wrong = []
    for path in paths:
        answer = clients[who].get(_at(path, world))
        text = "" if answer.streaming else answer.content.decode(errors="replace")
        is_right = answer.status_code in expected
        if expected == {403}:
            is_right &= "has not passed" in text + answer.get("X-Error-Message", "")
        if paths is LISTS:
            is_right &= NAME.partition("/")[2] in text
        if not is_right:
            wrong.append(f"{who} {path}: {answer.status_code} {text[:150]}")
    return wrong


def _page(world: World, path: str) -> str:
    return str(world.callers.browsers["nobody"].get(_at(path, world)).content.decode())


def _by_lfs(client: Client) -> Any:
    return client.post(f"/{NAME}.git/info/lfs/objects/batch", BATCH, LFS).json()["objects"][0]


def _duplicate(world: World, who: str) -> Any:
    body = json.dumps({"repository": f"{who}/copy"})
    return world.callers.programs[who].post(f"/api/models/{NAME}/duplicate", body, "application/json")


def test_every_road_tells_of_what_has_not_passed_and_none_gives_its_files_to_strangers(world: World) -> None:
    Verdict.objects.filter(revision__repository=world.repository).update(state="failed")
    Ref.objects.filter(repository=world.repository, name="refs/verified").delete()
    site_settings.change_setting("pull_policy", "verified", by=None)
    wrong = []
    for who in (*STRANGERS, *MEMBERS, "mona"):
        wrong += _wrong(world, who, (*TOLD,), {200}) + _wrong(world, who, LISTS, {200}, by_browser=True)
        wrong += _wrong(world, who, PAGES, {200}, by_browser=True)
    for who in (*STRANGERS, "mona"):  # a token of a moderator has no rights of staff
        wrong += _wrong(world, who, BYTES, {403})
        refusal = _by_lfs(world.callers.programs[who])
        wrong += [f"{who} LFS: {refusal}"] if refusal.get("error", {}).get("code") != 403 else []
        xet = Client(headers={"authorization": f"Bearer {world.reading[who]}"})
        statuses = {xet.get(f"/xet/v1/reconstructions/{world.file_id}").status_code}
        link = urlsplit(world.links[who])
        statuses.add(Client().get(f"{link.path}?{link.query}").status_code)
        wrong += [f"{who} with an earlier ticket: {statuses}"] if statuses != {403} else []
    for who in STRANGERS:
        wrong += _wrong(world, who, BYTES_ON_PAGES, {403}, by_browser=True)
    for who in MEMBERS:
        wrong += _wrong(world, who, BYTES, SERVED)
        wrong += [f"{who} LFS"] if "actions" not in _by_lfs(world.callers.programs[who]) else []
    for who in (*MEMBERS, "mona"):
        wrong += _wrong(world, who, BYTES_ON_PAGES, SERVED, by_browser=True)
    wrong += [f"{who} duplicates" for who, status in (("carol", 403), ("alice", 200))
              if _duplicate(world, who).status_code != status]  # fmt: skip
    assert not wrong, "\n".join(wrong)
    info = world.callers.programs["carol"].get(f"/api/models/{NAME}/revision/{world.new.oid}").json()
    manifest = world.callers.programs["carol"].get(f"/api/v1/adapters/{NAME}/revisions/{world.new.oid}").json()
    assert info["unserved"] == manifest["unserved"]
    assert "has not passed (its verdict: failed)" in info["unserved"]
    assert manifest["config"] is manifest["training"] is None
    assert "unserved" not in world.callers.programs["alice"].get(f"/api/models/{NAME}").json()
    page, commit = (_page(world, path) for path in ("/{id}", "/{id}/commit/{new}"))
    assert ('alt="Curve"' in page, "Curve" in commit) == (True, False), "the card is told, as behind a gate"
    told = {one["rfilename"] for one in info["siblings"]}
    assert "weights.safetensors" in told
    assert (
        sha256(CONTENT)
        in world.callers.programs["carol"].get(f"/api/models/{NAME}/tree/{world.new.oid}").content.decode()
    )


def test_what_has_passed_is_served_to_everybody(world: World) -> None:
    site_settings.change_setting("pull_policy", "verified", by=None)
    wrong = []
    for who in (*STRANGERS, *MEMBERS, "mona"):
        wrong += _wrong(world, who, (*TOLD, *BYTES), SERVED)
        wrong += _wrong(world, who, (*PAGES, *BYTES_ON_PAGES), {200}, by_browser=True)
    assert not wrong, "\n".join(wrong)
    assert (
        world.callers.programs["carol"].get(f"/api/v1/adapters/{NAME}/revisions/{world.new.oid}").json()["unserved"]
        is None
    )
