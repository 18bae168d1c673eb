"""Names of browsers for people, from the User-Agent header."""

# Parts of the header of a browser; the first that fits counts, because each browser names its ancestors too.
BROWSERS = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("HeadlessChrome/", "Chromium"),
    ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser_name(user_agent: str) -> str:
    """Return the browser and the system for people, such as "Firefox on Linux"; other programs by their first word."""
    browser = next((name for sign, name in BROWSERS if sign in user_agent), user_agent.partition("/")[0][:40])
    system = next((name for sign, name in SYSTEMS if sign in user_agent), "")
    return f"{browser or 'Unknown browser'} on {system}" if system else browser or "Unknown browser"
