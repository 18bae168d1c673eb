"""Formats of numbers and dates where a language's own ones do not fit these pages; read by Django."""
