"""Files for crawlers: the rules in robots.txt, and the map of public repositories."""
