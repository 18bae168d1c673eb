"""The audit log as people read it, and the chain that seals it; the core writes its events."""
