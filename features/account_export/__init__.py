"""The download of what the hub knows about a person, on the page of their account."""
