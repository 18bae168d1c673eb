"""Names of namespaces from which people here read repositories of another hub."""

import pytest

from features.upstream.feature import FEATURE
from features.upstream.models import UpstreamRepository
from registry.kernel.errors import NameReserved


@pytest.fixture
def far(db) -> UpstreamRepository:
    return UpstreamRepository.objects.create(
        type="model", full_name="Far/x", folded="far/x", namespace="far", origin="http://far"
    )


def test_a_name_of_another_hub_from_which_people_read_is_held_and_given_to_nobody(cast, far):
    assert FEATURE.holds_name("far")
    assert not FEATURE.holds_name("near")
    with pytest.raises(NameReserved, match="http://far"):
        FEATURE.take_name("FAR", cast["alice"])
    assert UpstreamRepository.objects.exists()
