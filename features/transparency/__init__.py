"""The numbers of moderation by month, for everyone or for moderators."""
