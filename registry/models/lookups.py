"""Comparisons that queries use on every model: lower case, and the SQL operator LIKE."""

from typing import Any

from django.db import models
from django.db.models.functions import Lower

# Lets queries say name__lower=…, which uses the unique index on Lower(name) in both databases; iexact does not.
models.CharField.register_lookup(Lower)
models.EmailField.register_lookup(Lower)


@models.CharField.register_lookup
class SqlLike(models.Lookup):
    """Lets queries say name__lower__like="ner-%": the SQL operator, with a backslash before a literal % or _."""

    lookup_name = "like"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        """Return the comparison."""
        left, left_values = self.process_lhs(compiler, connection)
        right, right_values = self.process_rhs(compiler, connection)
        return f"{left} LIKE {right} ESCAPE '\\'", (*left_values, *right_values)
