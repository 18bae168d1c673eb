"""Releases that brought the tables up to date: each says which older code may still run on them."""

from django.db import models
from django.db.models.functions import Now


class SchemaUpgrade(models.Model):
    """One release whose `migrate` changed the tables. The newest row describes them as they are."""

    release = models.CharField(max_length=32)
    serves_from = models.CharField(max_length=32)  # the oldest release whose code works on these tables
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.release}, for code of {self.serves_from} and later"
