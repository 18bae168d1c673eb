"""The pages docs/start-*.md as people use them: each block as it stands there, in processes of its own."""
