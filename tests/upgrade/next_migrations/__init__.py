"""The migrations of the registry, and one more: settings.MIGRATION_MODULES names this package in their place."""

from registry import migrations as released

__path__ = [*released.__path__, *__path__]
