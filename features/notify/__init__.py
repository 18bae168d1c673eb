"""Notifications: alerts on the site and by e-mail, and the repositories that people watch.

A new alert is a kind in `models.py` and in the constraints there (a migration), its row in `NOTICES` (`notices.py`):
topic, sentence, page; and the row of its event in `RULES`, or in `NEWS` for those who watch or follow (`rules.py`).
"""
