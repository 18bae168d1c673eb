"""A hub that reads from a streaming replica, which lags, is left out, and dies: one hub, asked once for all tests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.services import free_ports, postgres, valkey

ROOT = Path(__file__).resolve().parents[2]
RUN = "import django; django.setup(); from tests.replicas import scenario; scenario.main()"
pytestmark = [pytest.mark.merge, pytest.mark.postgres]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The observations of the scenario."""
    [port] = free_ports()
    data = tmp_path_factory.mktemp("hub")
    with postgres() as server, valkey() as broker:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DOVETAIL_")} | {
            "DJANGO_SETTINGS_MODULE": "tests.replicas.settings",
            "DOVETAIL_DATA": str(data),
            "DOVETAIL_SECRET_KEY": "replicas-of-the-tests-" * 4,
            "DOVETAIL_DATABASE_URL": server,
            "DOVETAIL_DATABASE_REPLICA_URL": f"postgres://dovetail@127.0.0.1:{port}/dovetail",
            "DOVETAIL_BROKER_URL": broker,
            "DOVETAIL_THROTTLE": "off",
            "REPLICA_PORT": str(port),
        }
        command = [sys.executable, "-c", RUN]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_lists_and_pages_come_from_the_replica_and_what_needs_to_be_exact_from_the_primary(facts):
    assert facts["before"]["from"] == facts["other"]["from"] == facts["session"]["from"] == ["replica"]
    assert facts["page"] == {"status": 200, "likes": {}, "from": ["replica"]}
    assert facts["private"]["from"] == ["primary"], "metadata by which files are resolved"


def test_who_wrote_reads_what_they_wrote_and_others_read_on(facts):
    assert (facts["writer"]["from"], facts["writer"]["likes"]) == (["primary"], {"alice/held": 0, "alice/reviews": 1})
    assert facts["other"]["likes"] == facts["session"]["likes"] == {"alice/held": 0, "alice/reviews": 0}
    assert (facts["later"]["from"], facts["later"]["likes"]["alice/reviews"]) == (["replica"], 1)


def test_a_position_never_goes_back(facts):
    assert facts["positions"] == [2**53, 2**53 + 1, 2**53 + 1, 2**53 + 1]


def test_nobody_reads_from_before_a_privileged_act(facts):
    assert facts["after a privileged act"]["from"] == ["primary"]
    assert (facts["shown"]["from"], facts["shown"]["status"]) == (["replica"], 200)
    assert (facts["held"]["from"], facts["held"]["status"]) == (["primary"], 404), "the replica still has it"


def test_a_replica_that_lags_too_long_is_left_out_and_comes_back(facts):
    assert facts["too late"]["from"] == ["primary"]
    assert "alice/newer" in facts["too late"]["likes"]
    [replica] = facts["readyz"]
    assert (replica["replica"], replica["used"]) == ("replica-1", False)
    assert facts["in use"]["from"] == ["replica"]


def test_a_replica_that_dies_costs_no_answer(facts):
    assert [answer["status"] for answer in facts["dead"]] == [200, 200, 200]
    assert [answer["from"] for answer in facts["dead"]] == [["primary", "replica"], ["primary"], ["primary"]]
    assert facts["is used"] is False
    assert 'dovetail_replica_used{replica="replica-1"} 0.0' in facts["metrics"]


def test_a_replica_that_comes_back_is_read_again_with_what_was_written_meanwhile(facts):
    assert facts["back"]["from"] == ["replica"]
    assert "alice/meanwhile" in facts["back"]["likes"]
