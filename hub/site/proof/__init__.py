"""The proof on pages: its numbers, the engines that serve the adapter."""
