"""Settings of this site that an administrator may change while it runs."""

from django.db import models


class SiteSetting(models.Model):
    """One named value; registry/kernel/site_settings.py knows the names, their choices and their first values."""

    name = models.CharField(max_length=64, primary_key=True)
    value = models.TextField(blank=True)
