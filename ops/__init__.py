"""What the Makefile runs: environments, supervisor, demo, services, tests; standard library only, as it comes first."""
