"""Numbers that templates show as they are keep the decimal point; hub/site/measures.py writes those for people."""

DECIMAL_SEPARATOR = "."
THOUSAND_SEPARATOR = ","
