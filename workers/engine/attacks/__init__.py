"""Attempts to escape from the jail; `selftest` runs them, `jail` must stop them. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from workers.engine.attacks import files, network, processes, system
from workers.engine.attacks.entry import Attack

ATTACKS: Mapping[str, Attack] = {**files.attack, **network.attack, **processes.attack, **system.attack}
