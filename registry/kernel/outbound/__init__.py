"""What leaves the hub: calls to addresses that strangers name, and traces of requests."""
