"""What goes on in the hub, on one page for its administrators: verdicts, queue, workers, failures, cases, disks."""
