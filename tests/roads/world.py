"""acme/held with two verified versions, in everything that lists repositories; and the states that it can be in."""

import io
from collections.abc import Callable
from dataclasses import dataclass

from django.apps import apps

from features.xet import transfers
from features.xet.models import XetFile
from features.xet.tests import build
from registry.models import Repository, Revision
from registry.moderation import quarantine
from registry.people import gates
from registry.proof.verified import withdrawals
from registry.publish import push, repositories, retirement
from registry.repos import refs
from registry.talk import dispatch
from tests.api.conftest import FILES, judged
from tests.cast import Cast
from tests.hf.wire import sha256
from tests.roads.callers import Callers, everybody

NAME, NEVER = "acme/held", "acme/hexd"  # of one length, so that lengths can be compared
CONTENT = build.noise(120_000, 7)
REASON = "It phones home."
BADGE = "only-here"  # a tag, to be found in facets
OLD_CARD = b"# Older\n"
CARD = f"---\nlicense: apache-2.0\ntags: [{BADGE}]\n---\n# Held\n\n![Curve](curve.png)\n"


@dataclass
class World:
    """What the roads need to know of acme/held."""

    cast: Cast
    repository: Repository
    old: Revision
    new: Revision
    callers: Callers
    file_id: str
    collection: str
    links: dict[str, str]  # who → the address of the weights that an LFS batch answered before
    reading: dict[str, str]  # who → the Xet token from before


def build_world(cast: Cast) -> World:
    """Publish acme/held, and let everybody take links and tickets while it is public."""
    alice = cast.session("alice")
    repository = cast.repository(NAME)
    old = _push(cast, repository, {**FILES, "README.md": OLD_CARD})
    judged(old, depth="run")
    xorb, shard = build.whole(CONTENT)
    transfers.receive_xorb(repository, xorb.name, io.BytesIO(xorb.data), by=alice)
    transfers.receive_shard(repository, io.BytesIO(shard), by=alice)
    new = _push(cast, repository, {"README.md": CARD.encode(), "curve.png": b"\x89PNG curve"}, weights=sha256(CONTENT))
    judged(new, depth="run")
    # Of features, which tests of the whole hub do not import.
    lists, likes = (apps.get_model("registry", name).objects for name in ("Collection", "Like"))
    likes.create(repository=repository, user=cast["carol"])
    collection = lists.create(key="0" * 24, namespace=cast["carol"].namespace, title="Mine", created_by=cast["carol"])
    collection.items.create(repository=repository, position=0)
    dispatch.run()
    callers = everybody(cast, NAME)
    file_id = XetFile.objects.get(sha256=sha256(CONTENT)).pk
    world = World(cast, repository, old, new, callers, file_id, str(collection.slug), {}, {})
    for name, program in callers.programs.items():
        world.links[name] = _link(program)
        world.reading[name] = program.get(f"/api/models/{NAME}/xet-read-token/main").json()["accessToken"]
    return world


def _push(cast: Cast, repository: Repository, files: dict[str, bytes], weights: str = "") -> Revision:
    operations: list = [push.Inline(path, content) for path, content in files.items()]
    if weights:
        operations.append(push.Stored("weights.safetensors", weights))
    intent = push.Intent(repository, refs.MAIN, cast.session("alice"), "Files")
    return push.receive(intent, operations).revision


def _link(program) -> str:
    objects = [{"oid": sha256(CONTENT), "size": len(CONTENT)}]
    body = {"operation": "download", "transfers": ["basic"], "objects": objects, "hash_algo": "sha256"}
    batch = program.post(f"/{NAME}.git/info/lfs/objects/batch", body, "application/json").json()
    return str(batch["objects"][0]["actions"]["download"]["href"])


# --- the states ------------------------------------------------------------------------------------------------------
def _gated(world: World) -> None:
    gates.set_gate(world.repository, "manual", world.cast.session("alice"))


def _yanked(world: World) -> None:
    withdrawals.yank(world.new, world.cast.session("bob"), REASON)


def _yanked_all(world: World) -> None:
    _yanked(world)
    withdrawals.yank(world.old, world.cast.session("bob"), REASON)


def _held_version(world: World) -> None:
    quarantine.quarantine(world.repository, world.cast.session("mona"), reason=REASON, revision=world.new)


STATES: dict[str, Callable[[World], object]] = {
    "public": lambda world: None,
    "private": lambda world: repositories.set_private(world.repository, True, world.cast.session("alice")),
    "gated": _gated,
    "yanked version": _yanked,
    "all versions yanked": _yanked_all,
    "deprecated": lambda world: retirement.deprecate(world.repository, world.cast.session("alice"), REASON),
    "archived": lambda world: retirement.archive(world.repository, world.cast.session("alice")),
    "version quarantined": _held_version,
    "quarantined": lambda world: quarantine.quarantine(world.repository, world.cast.session("mona"), reason=REASON),
    "removed": lambda world: quarantine.take_down(world.repository, world.cast.session("mona"), reason=REASON),
    "in the bin": lambda world: repositories.delete(world.repository, world.cast.session("alice")),
}
