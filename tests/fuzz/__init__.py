"""Fuzzing of everything that reads strangers' bytes: a few hundred inputs in each test run, minutes by `make fuzz`."""
