"""The errand that reads new files: a part that fails does not keep the others from their work."""

import pytest

from registry.kernel.seams import Jobs
from workers import pushed_files, tasks

PARTS = {
    "scan": (pushed_files, "scan_revisions"),
    "digest": (pushed_files, "digest_files"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("broken", [*PARTS, "a feature"])
def test_every_part_works_although_one_fails(broken, monkeypatch):
    done = []

    def work(name):
        done.append(name)
        if name == broken:
            raise TypeError(name)

    monkeypatch.setattr(tasks, "JOBS", [Jobs(after_push=(lambda: work("a feature"),))])
    for name, (module, function) in PARTS.items():
        monkeypatch.setattr(module, function, lambda name=name: work(name))
    with pytest.raises(TypeError, match=broken):
        tasks.land()
    assert done == [*PARTS, "a feature"]
