"""Cases, decisions and appeals, and the log of privileged acts."""
