"""The errand that reads new files: a part that fails does not keep the others from their work."""

import pytest

from registry.kernel.seams import Jobs
from workers import tasks

PARTS = ["pickle_scanning", "tensor_digesting", "weight_comparing", "chunking", "a feature"]


@pytest.mark.django_db
@pytest.mark.parametrize("broken", PARTS)
def test_every_part_works_although_one_fails(broken, monkeypatch):
    done = []

    def work(name):
        done.append(name)
        if name == broken:
            raise TypeError(name)

    monkeypatch.setattr(tasks, "JOBS", [Jobs(after_push=(lambda: work("a feature"),))])
    for name in PARTS[:-1]:
        monkeypatch.setattr(getattr(tasks, name), "work", lambda name=name: work(name))
    with pytest.raises(TypeError, match=broken):
        tasks.land()
    assert done == PARTS
