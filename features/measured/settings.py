"""Reads DOVETAIL_ENGINES_*: whether serving engines are tried with adapters, and how deep that goes."""

from hub.environment import Environment, one_of


def SETTINGS(env: Environment) -> dict[str, object]:  # as hub/settings.py looks for it
    """Return the settings of trials."""
    return {
        "ENGINES_MEASURED": env.bool("ENGINES_MEASURED", default=True),  # those whose .engines/NAME is built
        "ENGINES_DEPTH": env("ENGINES_DEPTH", one_of("auto", "mapping", "run"), default="auto"),
    }
