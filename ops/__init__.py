"""What the Makefile runs: environments, the supervisor, the demo, services and tests; standard library only, for it runs before they exist."""
