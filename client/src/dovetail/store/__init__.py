"""The files on this machine: how they come here, the caches that keep them, and folders made equal to locks."""
