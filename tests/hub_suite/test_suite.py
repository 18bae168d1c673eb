"""The client's own tests pass against this hub: one test here for each file of theirs, which names what failed."""

import tarfile

import pytest

from tests import live
from tests.hub_suite import gallery, judged, upstream
from tests.hub_suite.judge import Verdict, judge

FILES = sorted({id.partition("::")[0] for id in judged.ids()})


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    """One run of everything in scope over a hub of its own with a worker, on SQLite and files."""
    folder = tmp_path_factory.mktemp("judged")
    with live.hub(folder / "data", worker=True, people=gallery.PEOPLE) as hub:
        return judge(hub.url, folder / "report", judged.ids())


@pytest.mark.night
@pytest.mark.slow
@pytest.mark.timeout(1800)  # all of it runs in the first one
@pytest.mark.parametrize("file", FILES)
def test_the_clients_own_tests_pass(verdict: Verdict, file: str):
    failed = [f"{one.id}: {one.why}" for one in verdict.of_file(file) if one.what != "passed"]
    assert not failed, f"{len(failed)} of {len(verdict.of_file(file))} did not pass:\n" + "\n".join(failed)
    assert len(verdict.of_file(file)) == sum(id.startswith(f"{file}::") for id in judged.ids()), "some did not run"


def test_no_test_is_in_scope_and_out_of_it():
    assert [id for id in judged.ids() if judged.reason(id)] == []
    assert judged.ids() == sorted(set(judged.ids()))


@pytest.mark.night
def test_the_tests_are_those_of_the_release_and_nobody_touched_them():
    home = upstream.build()
    [archive] = (home / "archive").glob("*.tar.gz")
    compared = 0
    with tarfile.open(archive) as bundle:
        for member in bundle.getmembers():
            name = member.name.partition("/tests/")[2]
            if name.startswith("test") and name.endswith(".py") and name != upstream.UNREADABLE:
                assert (home / "suite" / "tests" / name).read_bytes() == bundle.extractfile(member).read(), name
                compared += 1
    assert compared > 70
