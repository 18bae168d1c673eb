"""A file that is blocked is served by no road from then on, before any sweep."""

import pytest

from features.blocklist import verbs
from registry.models import BlockedFile, ModerationDecision, Revision
from registry.moderation import quarantine
from tests.hf.wire import sha256
from tests.roads.test_unsearched_files import LARGE, ROADS, SMALL, World
from workers import pushed_files

WHY = "It steals credentials."


@pytest.fixture
def world(cast) -> World:
    world = World(cast)
    pushed_files.scan_revisions()
    return world


def statuses(world: World, who: str) -> dict[str, set[int]]:
    found = {}
    for name, road in ROADS.items():
        try:
            found[name] = {answer.status_code for answer in road(world, who)}
        except KeyError:  # the batch, the token or the manifest is refused: there is no address to ask
            found[name] = {404}
    return found


def test_no_road_serves_a_blocked_file_before_the_sweep(world, cast):
    assert all(found <= {200, 206} for found in statuses(world, "carol").values())
    verbs.block([sha256(SMALL), sha256(LARGE)], cast.session("mona"), reason=WHY)
    assert not ModerationDecision.objects.exists()
    for who in ("nobody", "carol", "erin", "alice"):
        served = {name for name, found in statuses(world, who).items() if found & {200, 206}}
        assert served <= ({"pages"} if who == "alice" else set()), "of the pages its writers get one with the reason"
    assert verbs.sweep() == 1
    assert WHY in ModerationDecision.objects.get().reason
    assert not Revision.objects.filter(quarantined_at__isnull=False, decisions=None).exists()


def test_a_block_that_is_taken_back_before_the_sweep_leaves_nothing_held(world, cast):
    verbs.block([sha256(SMALL)], cast.session("mona"), reason=WHY)
    verbs.unblock(sha256(SMALL), cast.session("mona"))
    assert not Revision.objects.filter(quarantined_at__isnull=False).exists()
    assert all(found <= {200, 206} for found in statuses(world, "carol").values())


def test_a_release_before_the_sweep_holds(world, cast):
    verbs.block([sha256(SMALL)], cast.session("mona"), reason=WHY)
    world.revision.refresh_from_db()
    quarantine.release(world.repository, cast.session("mona"), reason="A false alarm.", revision=world.revision)
    assert verbs.sweep() == 0
    assert BlockedFile.objects.get().swept_at is not None
    assert all(found <= {200, 206} for found in statuses(world, "carol").values())
