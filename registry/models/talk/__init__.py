"""Events and their feed; likes and follows."""
