"""The engines of a worker as processes: which there are, how they start, stay warm and fail."""
