"""Readers of one file, strict and in bounds."""
