"""The hub, its engines and the adapter of the workers' tests, and the visitors of the website's."""

from tests.site.conftest import visit
from tests.workers.conftest import _hub, base, cast, engine, model, pushed

__all__ = ["_hub", "base", "cast", "engine", "model", "pushed", "visit"]
