"""Hand-over to what people train and track with. Each module imports its library late; conversions use that of PEFT."""
