"""The hub itself: its settings, its clock, the state of its tables and of its read plane."""
