"""A release after this one, with two more columns, an index and a table: what an upgrade is proven with.

Its code is the code of today and these models; hub processes run it by DJANGO_SETTINGS_MODULE.
"""
