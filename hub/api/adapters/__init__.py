"""Views of adapters: searching, comparing, fitting, and what is made of them."""
