"""Row numbers as strangers write them: in decimal digits, and as the 24 hex digits that the Hub calls an id."""


def format_hub_id(number: int) -> str:
    """Return a row's number as an id."""
    return f"{number:024x}"


def parse_hub_id(text: str) -> int:
    """Return the row's number of an id; 0, which no row has, for what is none."""
    is_one = 0 < len(text) <= 24 and all(char in "0123456789abcdef" for char in text.lower())
    found = int(text, 16) if is_one else 0
    return found if found < 1 << 63 else 0


def parse_row_number(text: str) -> int:
    """Return a row's number from an address or a form; 0 for what is none, or larger than any."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0
