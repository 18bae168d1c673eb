"""The wire's fixtures: the cast, an empty store, no worker."""

from tests.hf.conftest import _quiet_hub, cast, store

__all__ = ["_quiet_hub", "cast", "store"]
