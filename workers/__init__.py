"""The hands: slow and dangerous work. Rules about what may happen to a verdict live in `registry`, not here."""
