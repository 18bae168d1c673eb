"""The plugin's settings, from the environment of vLLM."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from dovetail.base import places
from dovetail.base.problems import usage

DAY = 86400.0
LOG = logging.getLogger("vllm.dovetail")  # below vLLM's own logger, which prints it


@dataclass(frozen=True)
class Settings:
    """`base` names the base where vLLM was started with a folder; a silent hub is trusted for `keep_seconds`."""

    endpoint: str
    token: str | None
    cache: Path
    base: str = ""
    keep_seconds: float = DAY
    check_seconds: float = 10.0

    @property
    def checks_a_minute(self) -> int:
        """The rate of questions about loaded names: half of what it allows one caller."""
        return 300 if self.token else 30


def read() -> Settings:
    """Read the environment. Raises Problem."""
    endpoint = places.endpoint(os.environ["DOVETAIL_ENDPOINT"])
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Settings(
        endpoint,
        places.token(endpoint),
        Path(os.environ.get("DOVETAIL_VLLM_CACHE") or f"{home}/dovetail/vllm").expanduser(),
        os.environ.get("DOVETAIL_VLLM_BASE", ""),
        _seconds("DOVETAIL_VLLM_KEEP_SECONDS", DAY),
        _seconds("DOVETAIL_VLLM_CHECK_SECONDS", 10.0),
    )


def _seconds(name: str, default: float) -> float:
    value = os.environ.get(name, "")
    try:
        seconds = float(value) if value else default
    except ValueError:
        seconds = -1
    if not 0 < seconds < float("inf"):
        raise usage(f"{name}={value} is no number of seconds above 0.", f"Leave it out for {default:g}.")
    return seconds
