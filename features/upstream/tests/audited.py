"""The acts on names of other hubs that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable

from features.upstream import names
from features.upstream.models import UpstreamRepository
from tests.cast import Cast


def take(cast: Cast) -> Callable[[], object]:
    UpstreamRepository.objects.create(
        type="model", full_name="Far/x", folded="far/x", namespace="far", origin="http://far"
    )
    return lambda: names.take_over("Far", cast["ada"])


SERVICES = {"name:take": take}
