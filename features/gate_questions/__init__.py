"""Questions that a card puts before its gate, as the Hub writes them, and the requests with their answers as CSV."""
