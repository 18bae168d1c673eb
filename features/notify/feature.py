"""Notifications are made of events, and read when their pages are seen; workers remind, and send e-mails."""

from features.notify import alerts, events, mail
from registry.kernel.seams import Feature, Jobs

FEATURE = Feature(consumers=(("alerts", events.consume), ("followers", events.fan_out)), saw=alerts.saw)
JOBS = Jobs(mail=(events.tell_of_bases, events.remind, events.alarm, mail.send_due))
