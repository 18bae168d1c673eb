"""Numbers keep the decimal point on German pages: drawings, attributes and copied measurements need it."""

DECIMAL_SEPARATOR = "."
THOUSAND_SEPARATOR = ","
