"""Events and those who are told of them: alerts, the feed; likes and follows."""
