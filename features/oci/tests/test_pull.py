"""The OCI routes, by hand: what the distribution protocol asks of pulling, and that rules hold on this road too."""

import base64
import hashlib
import io
import json
import tarfile

import pytest
from django.test import Client

from features.oci import feature, images, tars
from features.oci.models import Image, ImageDocument
from hub.about import PORT
from registry.kernel import site_settings
from registry.kernel.errors import ValueInvalid
from registry.models import Repository, Revision, Token
from registry.moderation import quarantine
from registry.publish import branches, push
from registry.repos import refs
from registry.repos.manifest import Entry
from tests.api.conftest import FILES as ADAPTER
from tests.api.conftest import judged
from tests.cast import Cast

BIG = bytes(range(256)) * 8192  # 2 MiB
FILES = {
    **ADAPTER,
    "README.md": b"# One\n",
    "sub/ü 1.json": b"{}",
    "weights.safetensors": BIG,
    "long/" + "n" * 120: b"x" * 513,
}
NAME = "acme/reviews"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def pushed(cast: Cast, repository: Repository, files: dict[str, bytes], to: str = refs.MAIN) -> Revision:
    intent = push.Intent(repository, to, cast.session("alice"), "Files")
    return push.receive(intent, [push.Inline(path, content) for path, content in files.items()]).revision


@pytest.fixture
def repository(cast: Cast) -> Repository:
    made = cast.repository(NAME)
    judged(pushed(cast, made, FILES), depth="run")
    return made


def bearer(token: str) -> Client:
    return Client(headers={"authorization": f"Bearer {token}"})


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def body(answer) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


def unpacked(client: Client, manifest: dict, name: str = NAME) -> dict[str, bytes]:
    """Return the files in the layers, and check every digest and size on the way."""
    files: dict[str, bytes] = {}
    config = json.loads(blob(client, manifest["config"], name))
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    for layer in manifest["layers"]:
        assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar"
        with tarfile.open(fileobj=io.BytesIO(blob(client, layer, name))) as tar:
            members = tar.getmembers()
            assert {(one.uid, one.gid, one.mtime, one.mode) for one in members} <= {(0, 0, 0, 0o644), (0, 0, 0, 0o755)}
            files |= {one.name: tar.extractfile(one).read() for one in members if one.isfile()}
    return files


def blob(client: Client, described: dict, name: str) -> bytes:
    answer = client.get(f"/v2/{name}/blobs/{described['digest']}")
    data = body(answer)
    assert (answer.status_code, len(data)) == (200, described["size"]) == (200, int(answer["Content-Length"]))
    assert digest_of(data) == described["digest"] == answer["Docker-Content-Digest"]
    return data


def test_a_version_is_an_image_of_its_files(cast, repository):
    nobody = Client()
    answer = nobody.get(f"/v2/{NAME}/manifests/main")
    manifest = answer.json()
    assert answer["Content-Type"] == manifest["mediaType"] == MANIFEST
    assert answer["Docker-Content-Digest"] == digest_of(answer.content)
    files = unpacked(nobody, manifest)
    assert files.items() >= FILES.items()
    assert files.keys() - FILES.keys() == {".gitattributes"}
    assert len(manifest["layers"]) == 2  # the weights alone, and all others
    for reference in (answer["Docker-Content-Digest"], refs_of(repository), "HEAD"):
        again = nobody.get(f"/v2/{NAME}/manifests/{reference}")
        assert again.content == answer.content
        head = nobody.head(f"/v2/{NAME}/manifests/{reference}")
        assert (head.status_code, head.content, head["Content-Length"]) == (200, b"", str(len(answer.content)))
    layer = max(manifest["layers"], key=lambda one: one["size"])
    whole = blob(nobody, layer, NAME)
    place = f"/v2/{NAME}/blobs/{layer['digest']}"
    for start, end in ((0, 1), (500, 600), (1000, 1_000_000), (layer["size"] - 1500, layer["size"])):
        part = nobody.get(place, headers={"range": f"bytes={start}-{end - 1}"})
        assert (part.status_code, body(part)) == (206, whole[start:end])
    assert nobody.get(place, headers={"range": f"bytes={layer['size']}-"}).status_code == 416
    assert nobody.head(place)["Content-Length"] == str(layer["size"])


def refs_of(repository: Repository) -> str:
    return str(repository.refs.get(name=refs.MAIN).revision.oid)


def test_versions_share_the_layers_of_what_did_not_change(cast, repository):
    first = Client().get(f"/v2/{NAME}/manifests/main").json()
    pushed(cast, repository, {"README.md": b"# Two\n"})
    second = Client().get(f"/v2/{NAME}/manifests/main").json()
    digests = [{layer["digest"] for layer in one["layers"]} for one in (first, second)]
    assert len(digests[0] & digests[1]) == 1
    assert unpacked(Client(), second)["README.md"] == b"# Two\n"
    assert unpacked(Client(), first)["README.md"] == b"# One\n"


def test_the_bytes_of_a_tar_never_change(repository):
    """Clients pin digests: another release of Python, or of this hub, must build the same bytes."""
    names = sorted(FILES.keys() - ADAPTER.keys())
    files = [tars.TarFile(name, hashlib.sha256(FILES[name]).hexdigest(), len(FILES[name])) for name in names]
    data = b"".join(tars.read(files))
    assert (len(data), hashlib.sha256(data).hexdigest()) == (tars.size_of(files), tars.digest_of(files))
    assert tars.digest_of(files) == "e42b823bce066916c5a9e2ca3181bedc06ba8f8c41a90e4bce14bf70eeaeed17"


def test_layers_are_few_and_hold_no_whiteouts():
    def entry(path: str, size: int) -> Entry:
        return Entry(path, "0" * 64, size, True, "0" * 40)

    many = {f"{n}.bin": entry(f"{n}.bin", images.LARGE + n) for n in range(1, 200)}
    layers = images.split(many)
    assert len(layers) == images.MOST_OWN + 1
    assert sorted(file.path for layer in layers for file in layer) == sorted(many)
    assert images.split({}) == [[]]
    with pytest.raises(ValueInvalid):
        images.split({"a/.wh..wh..opq": entry("a/.wh..wh..opq", 0)})


def test_large_layers_are_hashed_by_a_worker(cast, repository, monkeypatch):
    monkeypatch.setattr(images, "AT_ONCE", 1 << 20)
    answer = Client().get(f"/v2/{NAME}/manifests/main")
    assert (code(answer), answer["Retry-After"]) == ((429, "TOOMANYREQUESTS"), "10")
    assert answer.json()["errors"][0]["detail"]["code"] == "image-not-ready"
    feature.work()
    assert Client().get(f"/v2/{NAME}/manifests/main").status_code == 200
    pushed(cast, repository, {"weights.safetensors": BIG[::-1]})  # another version: prepared before anybody asks
    feature.work()
    feature.work()
    assert Image.objects.filter(revision__oid=refs_of(repository)).exists()


def test_tags_are_branches_tags_aliases_and_verified_in_pages(cast, repository):
    head = repository.refs.get(name=refs.MAIN).revision
    for name in ("refs/tags/v1", "refs/heads/feature/x", "refs/heads/dev"):
        branches.create_ref(repository, name, head, cast.session("alice"))
    client = Client()
    assert client.get(f"/v2/{NAME}/tags/list").json() == {"name": NAME, "tags": ["dev", "main", "v1", "verified"]}
    page = client.get(f"/v2/{NAME}/tags/list?n=2")
    assert page.json()["tags"] == ["dev", "main"]
    link = page["Link"].partition(">")[0].removeprefix("<")
    rest = client.get(link)
    assert (rest.json()["tags"], rest.has_header("Link")) == (["v1", "verified"], False)
    assert client.get(f"/v2/{NAME}/tags/list?n=0").json()["tags"] == []
    assert code(client.get(f"/v2/{NAME}/tags/list?n=x")) == (400, "PAGINATION_NUMBER_INVALID")


def test_the_verdict_refers_to_its_image(cast, repository):
    client = Client()
    digest = client.head(f"/v2/{NAME}/manifests/verified")["Docker-Content-Digest"]
    index = client.get(f"/v2/{NAME}/referrers/{digest}")
    assert index["Content-Type"] == "application/vnd.oci.image.index.v1+json"
    (found,) = index.json()["manifests"]
    assert found["artifactType"] == "application/vnd.dovetail.verdict.v1+json"
    assert found["annotations"]["dev.dovetail.verdict.state"] == "passed"
    answer = client.get(f"/v2/{NAME}/manifests/{found['digest']}")
    assert (digest_of(answer.content), len(answer.content)) == (found["digest"], found["size"])
    assert answer.json()["subject"]["digest"] == digest
    assert blob(client, answer.json()["config"], NAME) == b"{}"
    verdict = json.loads(blob(client, answer.json()["layers"][0], NAME))
    assert (verdict["state"], "samples" in verdict) == ("passed", False)
    other = client.get(f"/v2/{NAME}/referrers/{digest}?artifactType=x/y")
    assert (other.json()["manifests"], other["OCI-Filters-Applied"]) == ([], "artifactType")
    assert client.get(f"/v2/{NAME}/referrers/sha256:{'0' * 64}").json()["manifests"] == []
    assert client.get(f"/v2/{NAME}/referrers/{digest}").json() == index.json()
    before = ImageDocument.objects.count()
    client.get(f"/v2/{NAME}/referrers/{digest}")
    assert ImageDocument.objects.count() == before


def test_errors_are_those_of_the_protocol(cast, repository):
    alice, place = bearer(cast.token("alice")), f"/v2/{NAME}"
    assert code(alice.get(f"{place}/manifests/never")) == (404, "MANIFEST_UNKNOWN")
    assert code(alice.get(f"{place}/manifests/sha256:{'0' * 64}")) == (404, "MANIFEST_UNKNOWN")
    assert code(alice.get(f"{place}/manifests/sha512:{'0' * 128}")) == (404, "MANIFEST_UNKNOWN")
    assert code(alice.get(f"{place}/blobs/sha256:{'0' * 64}")) == (404, "BLOB_UNKNOWN")
    assert code(alice.get("/v2/acme/never/manifests/main")) == (404, "NAME_UNKNOWN")
    assert code(alice.get("/v2/a/b/c/manifests/main")) == (404, "NAME_UNKNOWN")
    assert code(alice.get(f"{place}/referrers/x")) == (400, "DIGEST_INVALID")
    for method, path in (
        ("POST", "blobs/uploads/"),
        ("PUT", "manifests/x"),
        ("DELETE", "manifests/main"),
        ("PATCH", "blobs/x"),
    ):
        assert code(alice.generic(method, f"{place}/{path}", b"x")) == (405, "UNSUPPORTED")
    assert alice.get("/v2/").headers["Docker-Distribution-API-Version"] == "registry/2.0"


def test_who_asks_is_asked_for_a_bearer_token_of_the_right_scope(cast, repository, settings):
    cast.repository("acme/covert", private=True)
    nobody = Client()
    refused = nobody.get("/v2/")
    assert refused.status_code == 401
    assert refused["WWW-Authenticate"] == f'Bearer realm="http://127.0.0.1:{PORT}/v2/token",service="dovetail"'
    for name in ("acme/covert", "acme/never"):
        answer = nobody.get(f"/v2/{name}/manifests/main")
        assert code(answer) == (401, "UNAUTHORIZED")
        assert answer["WWW-Authenticate"].endswith(f'scope="repository:{name}:pull"')

    def ticket(who: str, scope: str) -> str:
        password = cast.token(who)
        basic = base64.b64encode(f"anything:{password}".encode()).decode()
        got = Client(headers={"authorization": f"Basic {basic}"}).get(
            "/v2/token", {"scope": scope, "service": "dovetail"}
        )
        posted = nobody.post(
            "/v2/token", {"grant_type": "password", "username": who, "password": password, "scope": scope}
        )
        assert got.json().keys() == posted.json().keys() == {"token", "access_token", "expires_in", "issued_at"}
        return str(got.json()["token"])

    of_alice = bearer(ticket("alice", "repository:acme/covert:pull,push"))
    assert of_alice.get("/v2/").status_code == 200
    assert of_alice.get("/v2/ACME/covert/manifests/main").status_code == 200
    assert code(of_alice.get(f"/v2/{NAME}/manifests/main")) == (401, "UNAUTHORIZED")  # another scope
    assert code(of_alice.put("/v2/acme/covert/manifests/x", b"x")) == (405, "UNSUPPORTED")
    of_carol = bearer(ticket("carol", "repository:acme/covert:pull"))
    assert code(of_carol.get("/v2/acme/covert/manifests/main")) == (404, "NAME_UNKNOWN")
    of_nobody = bearer(nobody.get("/v2/token", {"scope": f"repository:{NAME}:pull"}).json()["token"])
    assert of_nobody.get(f"/v2/{NAME}/manifests/main").status_code == 200
    assert code(bearer("hf_wrong_token_12345").get(f"/v2/{NAME}/manifests/main")) == (401, "UNAUTHORIZED")
    assert code(nobody.post("/v2/token", {"grant_type": "password", "password": "hf_wrong_12345"})) == (
        401,
        "UNAUTHORIZED",
    )
    assert code(nobody.post("/v2/token", {})) == (400, "UNSUPPORTED")
    Token.objects.filter(user=cast["alice"]).delete()
    assert code(of_alice.get("/v2/acme/covert/manifests/main")) == (401, "UNAUTHORIZED")  # dead at once
    nobody.force_login(cast["alice"])
    assert nobody.get("/v2/acme/covert/manifests/main").status_code == 401  # a session does not count


def test_what_is_held_back_is_gone_by_tag_digest_and_layer(cast, repository):
    client, writer = Client(), bearer(cast.token("bob"))
    tag = client.get(f"/v2/{NAME}/manifests/main")
    manifest = tag.json()
    digest = tag["Docker-Content-Digest"]
    pushed(cast, repository, {"weights.safetensors": b"small now"})
    client.get(f"/v2/{NAME}/manifests/main")
    held = Image.objects.get(digest=digest.removeprefix("sha256:")).revision
    quarantine.quarantine(repository, cast.session("mona"), reason="It phones home.", revision=held)
    never = f"sha256:{'0' * 64}"
    for asked in (
        f"manifests/{digest}",
        *(f"blobs/{one['digest']}" for one in (manifest["config"], *manifest["layers"])),
    ):
        kind = asked.partition("/")[0]
        answer, none = client.get(f"/v2/{NAME}/{asked}"), client.get(f"/v2/{NAME}/{kind}/{never}")
        expected = none.content.replace(never.encode(), asked.partition("/")[2].encode())
        assert (answer.status_code, answer.content) == (404, expected)
    assert client.get(f"/v2/{NAME}/referrers/{digest}").json()["manifests"] == []
    assert code(writer.get(f"/v2/{NAME}/manifests/{digest}")) == (403, "DENIED")
    assert client.get(f"/v2/{NAME}/manifests/main").status_code == 200


def test_the_pull_policy_holds_for_tags_digests_and_layers(cast, repository):
    pushed(cast, repository, {"weights.safetensors": BIG[::-1]})
    revision = repository.refs.get(name=refs.MAIN).revision
    judged(revision, "failed")
    member, client = bearer(cast.token("erin")), Client()
    manifest = member.get(f"/v2/{NAME}/manifests/{revision.oid}").json()
    verified = client.get(f"/v2/{NAME}/manifests/verified")
    site_settings.change_setting("pull_policy", "verified", by=None)
    assert client.get(f"/v2/{NAME}/manifests/main").content == verified.content
    assert code(client.get(f"/v2/{NAME}/manifests/{revision.oid}")) == (403, "DENIED")
    weights = max(manifest["layers"], key=lambda one: one["size"])["digest"]
    assert code(client.get(f"/v2/{NAME}/blobs/{weights}")) == (403, "DENIED")
    assert member.get(f"/v2/{NAME}/blobs/{weights}").status_code == 200
    assert unpacked(client, verified.json())["weights.safetensors"] == BIG
