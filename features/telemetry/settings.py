"""Reads DOVETAIL_OTLP_ENDPOINT and DOVETAIL_SENTRY_DSN; without them nothing is sent, or imported for it."""

from hub.environment import Environment, http_url


def SETTINGS(env: Environment) -> dict[str, object]:  # as hub/settings.py looks for it
    """Return where spans go, and the handler of lines in the log that reports errors."""
    endpoint, dsn = env("OTLP_ENDPOINT", http_url, default=""), env("SENTRY_DSN", http_url, default="")
    reports: dict[str, object] = {"()": "features.telemetry.error_reports.handler", "dsn": dsn}
    return {
        "OTLP_ENDPOINT": endpoint,
        "TRACER": "features.telemetry.spans" if endpoint else "",
        "LOG_HANDLERS": {"sentry": reports} if dsn else {},
    }
