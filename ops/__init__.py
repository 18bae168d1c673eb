"""The commands of the Makefile, in the standard library alone, as they run before anything is installed."""
