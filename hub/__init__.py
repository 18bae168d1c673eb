"""The faces: everything that speaks HTTP, and nothing that decides."""
