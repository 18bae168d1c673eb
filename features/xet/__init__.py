"""Xet: large files travel as content-addressed chunks, as hf_xet sends them; without it by Git LFS alone."""
