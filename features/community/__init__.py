"""What people do socially: they like repositories, and follow people, organisations and base models."""
