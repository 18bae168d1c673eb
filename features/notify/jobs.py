"""Tells of bases that arrived, reminds of tokens that end and cases that wait, and sends the e-mails that are due."""

from features.notify import events, mail
from registry.kernel.seams import Jobs

JOBS = Jobs(mail=(events.tell_of_bases, events.remind, events.alarm, mail.send_due))
