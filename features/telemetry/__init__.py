"""What other systems of the operator are told: traces by OpenTelemetry, errors to Sentry."""
