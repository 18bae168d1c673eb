"""Hand-over to what people train and track with; each module imports its library, and nothing else imports it."""
