"""Tests of the engine, through its pipe and with real weights."""
