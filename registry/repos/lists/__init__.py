"""Lists and searches of repositories, and the counts beside them."""
