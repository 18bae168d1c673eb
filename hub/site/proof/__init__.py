"""What pages show of a proof: its numbers, the engines that serve it, the repairs that are offered."""
