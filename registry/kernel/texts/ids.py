"""Row numbers as clients write them: in decimal digits, or as the 24 hex digits that the Hub calls an id."""


def format_hub_id(number: int) -> str:
    """Return a row's number as an id."""
    return f"{number:024x}"


def parse_hub_id(text: str) -> int:
    """Return the row's number of an id; 0, which no row has, for any other text."""
    is_id = 0 < len(text) <= 24 and all(char in "0123456789abcdef" for char in text.lower())
    number = int(text, 16) if is_id else 0
    return number if number < 1 << 63 else 0


def parse_row_number(text: str) -> int:
    """Return a row's number from an address or a form; 0 for any other text, or a number that no row can have."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0
