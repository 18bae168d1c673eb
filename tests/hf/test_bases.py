"""Bases of the base cache on the Hub routes: read-only repositories, for whom their license or an operator allows."""

from pathlib import Path

import pytest

from registry.bytes import garbage
from registry.kernel.errors import NameReserved
from registry.models import Base, BaseFile, Blob
from registry.people.organizations import organizations
from registry.publish import moves, repositories, retirement
from tests.cast import Cast
from tests.hf.wire import Wire, file, header, sha256
from workers import base_cache, base_folders

ID = "tiny/base"
FILES = {
    "config.json": b'{"model_type": "bert", "architectures": ["BertModel"]}',
    "model.safetensors": bytes(range(256)) * 400,
    "1_Pooling/config.json": b"{}",
}


@pytest.fixture
def base(store, cast: Cast, settings, tmp_path: Path) -> Base:
    settings.SHELF = tmp_path / "shelf"
    for path, data in FILES.items():
        target = tmp_path / "model" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    folder = tmp_path / "model"
    return base_cache.add_folder(ID, folder, source="path x", license="apache-2.0", tell=lambda _: None)


# --- reading ---------------------------------------------------------------------------------------------------------
def test_it_reads_as_a_model_repository_with_one_version(wire: Wire, base):
    info = wire.get(f"/api/models/{ID}?blobs=true", who="nobody").json()
    assert (info["id"], info["sha"], info["private"], info["gated"]) == (ID, base.revision, False, False)
    assert info["config"] == {"model_type": "bert", "architectures": ["BertModel"]}
    assert [one["rfilename"] for one in info["siblings"]] == sorted(FILES)
    weights = next(one for one in info["siblings"] if one["rfilename"] == "model.safetensors")
    assert weights["lfs"]["sha256"] == sha256(FILES["model.safetensors"])
    assert wire.get(f"/api/models/{ID.upper()}/revision/{base.revision[:8]}").json()["sha"] == base.revision
    tree = wire.get(f"/api/models/{ID}/tree/main?recursive=true&expand=true").json()
    assert [item["path"] for item in tree] == ["1_Pooling", "1_Pooling/config.json", "config.json", "model.safetensors"]
    assert {item["lastCommit"]["id"] for item in tree} == {base.revision}
    paths = wire.ask("POST", f"/api/models/{ID}/paths-info/main", {"paths": ["config.json", "none"]}).json()
    assert [item["path"] for item in paths] == ["config.json"]
    assert wire.get(f"/api/models/{ID}/refs").json()["branches"] == [
        {"name": "main", "ref": "refs/heads/main", "targetCommit": base.revision}
    ]
    assert [one["id"] for one in wire.get(f"/api/models/{ID}/commits/main").json()] == [base.revision]
    assert wire.get(f"/api/models/{ID}/auth-check").status_code == 200
    missing = wire.get(f"/api/models/{ID}/revision/dev")
    assert (missing.status_code, missing["X-Error-Code"]) == (404, "RevisionNotFound")


@pytest.mark.parametrize("rev", ["main", "HEAD", "refs%2Fheads%2Fmain", "refs/heads/main"])
def test_its_bytes_come_with_every_header_that_caches_need(wire: Wire, base, rev):
    weights = FILES["model.safetensors"]
    path = f"/{ID}/resolve/{rev}/model.safetensors"
    whole, head = wire.get(path, who="nobody"), wire.ask("HEAD", path, who="nobody")
    assert whole.content_of() == weights
    for answer in (whole, head):
        assert answer["X-Repo-Commit"] == base.revision
        assert answer["ETag"] == answer["X-Linked-Etag"] == f'"{sha256(weights)}"'
        assert answer["X-Linked-Size"] == answer["Content-Length"] == str(len(weights))
    part = wire.get(path, Range="bytes=256-300")
    assert (part.status_code, part.content_of()) == (206, weights[256:301])
    assert wire.get(path, If_None_Match=whole["ETag"]).status_code == 304
    small = wire.get(f"/{ID}/resolve/{rev}/1_Pooling/config.json")
    assert (small.content_of(), small["ETag"]) == (b"{}", '"9e26dfeeb6e641a33dae4961196235bdb965b21b"')  # as git has it
    missing = wire.get(f"/{ID}/resolve/{rev}/adapter_config.json")
    assert (missing.status_code, missing["X-Error-Code"]) == (404, "EntryNotFound")
    assert missing["X-Repo-Commit"] == base.revision


def test_below_verified_it_is_as_it_is(wire: Wire, base):
    assert wire.get(f"/verified/{ID}/resolve/main/config.json")["X-Repo-Commit"] == base.revision
    assert wire.get(f"/verified/api/models/{ID}").json()["sha"] == base.revision


def test_nginx_sends_its_bytes_like_those_of_others(wire: Wire, base, settings):
    settings.ACCEL_REDIRECT = "/_blobs"
    answer = wire.get(f"/{ID}/resolve/main/model.safetensors")
    digest = sha256(FILES["model.safetensors"])
    assert answer["X-Accel-Redirect"] == f"/_blobs/blobs/{digest[:2]}/{digest[2:4]}/{digest}"


def test_sweeps_keep_its_bytes_until_it_is_removed(wire: Wire, base):
    garbage.sweep(0)
    assert wire.get(f"/{ID}/resolve/main/config.json").content_of() == FILES["config.json"]
    base_cache.remove(ID)
    assert not BaseFile.objects.exists()
    assert wire.get(f"/{ID}/resolve/main/config.json").status_code == 404
    garbage.sweep(0)
    assert not Blob.objects.filter(sha256=sha256(FILES["model.safetensors"])).exists()


# --- who -------------------------------------------------------------------------------------------------------------
#                          (info, bytes) for nobody, somebody, a token for other repositories, a token that names it
SERVED = {
    "license": ((200, 200), (200, 200), (200, 200), (200, 200)),
    "public": ((200, 200), (200, 200), (200, 200), (200, 200)),
    "gated": ((200, 401), (200, 200), (200, 403), (200, 200)),
    "members": ((401, 401), (200, 200), (404, 404), (200, 200)),
    "nobody": ((401, 401), (404, 404), (404, 404), (404, 404)),
}


@pytest.mark.parametrize("serve", SERVED)
def test_who_may_have_it(wire: Wire, cast: Cast, base, serve):
    base_cache.set_serve(ID, serve)
    other, naming = (
        cast.token("carol", "fine-grained", **{name.replace("/", "__"): "read"}) for name in ("carol/x", ID)
    )
    answers = []
    for who in ("nobody", "carol", other, naming):
        paths = f"/api/models/{ID}", f"/{ID}/resolve/main/config.json"
        answers.append(tuple(wire.get(path, who=who).status_code for path in paths))
    assert tuple(answers) == SERVED[serve]


def test_without_a_license_that_permits_it_members_alone_have_it(wire: Wire, base):
    Base.objects.update(license="acme-secret")
    assert wire.get(f"/api/models/{ID}", who="nobody").status_code == 401
    assert wire.get(f"/api/models/{ID}", who="carol").status_code == 200


@pytest.mark.parametrize("who", ["nobody", "carol"])
def test_one_that_is_hidden_looks_as_if_it_were_not_there(wire: Wire, base, who):
    base_cache.set_serve(ID, "nobody")
    for method, path in (
        ("GET", "/api/models/{}"), ("GET", "/api/models/{}/tree/main"), ("GET", "/api/models/{}/refs"),
        ("GET", "/{}/resolve/main/config.json"), ("POST", "/api/models/{}/commit/main"),
        ("POST", "/api/models/{}/paths-info/main"), ("PUT", "/api/models/{}/settings"),
        ("POST", "/{}.git/info/lfs/objects/batch"),
    ):  # fmt: skip
        hidden, missing = (wire.ask(method, path.format(name), {}, who=who) for name in (ID, "tiny/none"))
        assert (hidden.status_code, hidden.content.replace(b"tiny/base", b"")) == (
            missing.status_code, missing.content.replace(b"tiny/none", b""),
        ), path  # fmt: skip


# --- writing, and names ----------------------------------------------------------------------------------------------
def test_every_change_is_refused_in_a_sentence(wire: Wire, base):
    before = wire.get(f"/api/models/{ID}").json()
    for method, path, body in (
        ("POST", f"/api/models/{ID}/preupload/main", {"files": []}),
        ("POST", f"/{ID}.git/info/lfs/objects/batch", {"operation": "upload", "objects": []}),
        ("PUT", f"/api/models/{ID}/settings", {"private": True}),
        ("POST", f"/api/models/{ID}/branch/b", {}),
        ("DELETE", f"/api/models/{ID}/tag/main", None),
        ("POST", f"/api/models/{ID}/discussions", {"title": "x", "description": "x"}),
        ("GET", f"/api/models/{ID}/auth-check/write", None),
    ):
        answer = wire.ask(method, path, body)
        assert answer.status_code == 403, (path, answer.content)
        assert "tiny/base is a base model of this hub: it is read-only" in answer["X-Error-Message"]
    assert wire.commit(ID, header(), file("x")).status_code == 403
    assert wire.get(f"/api/models/{ID}").json() == before


@pytest.mark.parametrize("private", [False, True])
def test_a_repository_that_was_there_first_wins_also_where_it_is_not_seen(wire: Wire, cast: Cast, base, private):
    cast.repository("acme/base", private=private)
    pushed = wire.push("acme/base", {"config.json": b"ours"})
    said: list[str] = []
    base_cache.add_folder("acme/base", model_of(base), source="path x", license="mit", tell=said.append)
    assert "A repository of this hub is also called acme/base" in said[-1], "who adds a base must know"
    assert wire.get("/acme/base/resolve/main/config.json").content_of() == b"ours"
    assert wire.get("/api/models/acme/base").json()["sha"] == pushed
    for who, status in (("nobody", 401), ("carol", 404)):
        for path in ("/api/models/{}", "/{}/resolve/main/config.json"):
            answer, missing = (wire.get(path.format(name), who=who) for name in ("acme/base", "acme/none"))
            if private:
                assert answer.status_code == missing.status_code == status
                assert answer.content.replace(b"base", b"") == missing.content.replace(b"none", b"")
            else:
                assert answer.status_code == 200
    wire.ask("DELETE", "/api/repos/delete", {"name": "base", "organization": "acme"})
    assert wire.get("/acme/base/resolve/main/config.json").content_of() == FILES["config.json"]


def model_of(base: Base) -> Path:
    return base_folders.path(base)


def test_nobody_takes_the_name_of_a_base(wire: Wire, cast: Cast, base):
    base_cache.add_folder("alice/Base", model_of(base), source="path x", license="mit", tell=lambda _: None)
    refused = wire.ask("POST", "/api/repos/create", {"name": "base"})
    assert (refused.status_code, refused.json()["code"]) == (403, "name-reserved")
    assert "manage.py shelf remove" in refused["X-Error-Message"]
    cast.repository("alice/other")
    body = {"fromRepo": "alice/other", "toRepo": "alice/base", "type": "model"}
    assert wire.ask("POST", "/api/repos/move", body).json()["code"] == "name-reserved"
    assert wire.ask("POST", "/api/repos/create", {"name": "base", "type": "dataset"}).status_code == 200


@pytest.mark.parametrize("road", ["rename", "former name of a repository", "former name of an organisation", "bin"])
def test_no_other_road_leads_from_a_base_to_bytes_of_somebody_else(wire: Wire, cast: Cast, store, request, road):
    carol = cast.session("carol")
    squat = "other" if road == "rename" else "tiny"
    organizations.create_as(squat, carol)
    name = "elsewhere" if road == "former name of an organisation" else "base"
    repository = cast.repository(f"{squat}/{name}", by="carol")
    if road == "former name of a repository":
        moves.move(repository, "carol/mine", carol)
    elif road == "former name of an organisation":
        moves.rename(squat, "other", carol)
        cast.repository("other/base", by="carol")
    elif road == "bin":
        repositories.delete(repository, carol)
    base = request.getfixturevalue("base")
    if road in {"rename", "bin"}:
        with pytest.raises(NameReserved):
            moves.rename(squat, "tiny", carol) if road == "rename" else retirement.restore(repository.pk, carol)
    assert wire.get(f"/api/models/{ID}", who="nobody").json()["sha"] == base.revision
    answer = wire.get(f"/{ID}/resolve/main/config.json", who="nobody")
    assert (answer.status_code, answer.content_of()) == (200, FILES["config.json"])
