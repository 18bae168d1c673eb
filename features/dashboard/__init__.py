"""The home of a signed-in person: what needs them, what is being validated for them, and what is theirs."""
