"""Cases that moderators decide: reports, evidence, the queue, strikes and appeals."""
