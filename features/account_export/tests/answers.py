"""The route of the export in the tests that walk all of the hub."""

DANGEROUS = {"settings/account/export"}
