"""Rules of retention: how many versions of a repository keep their files."""
