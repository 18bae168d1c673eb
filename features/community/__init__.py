"""People like repositories, and follow people, organisations and base models."""
