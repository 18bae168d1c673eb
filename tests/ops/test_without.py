"""Features are deleted in a copy: the copy lacks their folders and their lines, and the tree itself keeps them."""

import pytest

from ops import without
from ops.sentences import ROOT, Stop


def test_a_copy_lacks_the_folder_and_the_line_of_a_feature_and_of_those_that_need_it(tmp_path):
    name = without.features(ROOT)[0]
    gone = without.copy(tmp_path / "tree", {name})
    assert name in gone
    assert without.features(tmp_path / "tree") == [one for one in without.features(ROOT) if one not in gone]
    assert not any((tmp_path / "tree/features" / one).exists() for one in gone)
    assert (ROOT / "features" / name).exists()


def test_what_is_no_feature_is_refused(monkeypatch):
    monkeypatch.setenv("FEATURE", "nonsense")
    with pytest.raises(Stop, match=f"FEATURE=all, each, touched, or some of {','.join(without.features(ROOT))}[.]"):
        without.run([])


@pytest.mark.night
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", without.features(ROOT))
def test_the_core_is_green_without(name):
    without.prove({name})
