"""The overview of the hub for its administrators: verdicts, queue, workers, failures, cases, disks."""
