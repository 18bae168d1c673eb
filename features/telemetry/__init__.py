"""Traces by OpenTelemetry and errors to Sentry, for other systems of the operator."""
