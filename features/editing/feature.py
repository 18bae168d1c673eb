"""Editing in the domain: the config of a version in other forms, without a push."""

from features.editing import config_views
from registry.kernel.seams import Feature
from registry.models import Revision
from registry.repos import pull


def _view(revision: Revision, path: str, view: str, base: str) -> tuple[str, str]:
    derived = config_views.derive(pull.entries(revision), path, view, base=base)
    return derived.text, derived.label


FEATURE = Feature(file_view=_view)
