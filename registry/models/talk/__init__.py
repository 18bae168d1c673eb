"""Events and those who are told of them: alerts, the feed, webhooks; likes, follows and collections."""
