"""Cases: what people report and the hub finds, the moderators' queue, evidence and outcomes."""
