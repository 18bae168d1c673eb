"""An engine more is a requirements file and a line: the matrix has its row, and nothing else needs to know of it."""

import time

import pytest

from registry.models import Comparison
from tests import adapters
from tests.workers.test_real_engine import bert, judged, shelves  # noqa: F401 - fixtures
from workers.engine import job
from workers.engines import capabilities
from workers.loop import WorkLoop

pytestmark = [pytest.mark.merge, pytest.mark.engine, pytest.mark.django_db(transaction=True)]


def test_a_third_engine_gets_its_row_in_the_matrix(bert, judged, settings, tmp_path, monkeypatch):
    """Its interpreter is that of e5 under another name, as a newer release of a library would have one of its own."""
    for name, python in {"e5": "e5", "e6": "e5"}.items():
        (tmp_path / name).symlink_to(settings.ENGINES / python)
    settings.ENGINES = tmp_path
    monkeypatch.setitem(job.ENGINES, "e6", ("peft",))
    assert capabilities.able("peft") == ["e5", "e6"]
    found = judged(adapters.lora())
    assert [row["name"] for row in found.result["engines"]] == ["e5"]
    assert set(Comparison.objects.values_list("engine", flat=True)) == {"e5", "e6"}, "e5 runs its programs"
    loop, deadline = WorkLoop(), time.monotonic() + 240
    while Comparison.objects.exists():
        assert time.monotonic() < deadline, "the third engine did not come"
        if not loop.step():
            time.sleep(0.1)
    found.refresh_from_db()
    assert [(row["name"], row["state"]) for row in found.result["engines"]] == [("e5", "passed"), ("e6", "passed")]
    told = found.result["engine"]
    assert (told["device"], told["dtype"], told["threads"], told["batch"]) == ("cpu", "float32", 1, 8)
