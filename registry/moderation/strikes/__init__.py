"""What moderation holds against a person: strikes, suspension, appeals."""
