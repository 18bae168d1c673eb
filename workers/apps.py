"""Tells Django that the hands are here; they have no tables, only commands."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    name = "workers"
    verbose_name = "Workers"
