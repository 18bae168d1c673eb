"""The client of this hub and its format library, served at /simple/ for pip and uv."""
