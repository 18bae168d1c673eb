"""Sizes in words."""


def size_in_words(count: int) -> str:
    """Return bytes in decimal units, as clients show them: 306 kB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
