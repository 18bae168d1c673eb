"""The list of files that nobody may push: a page, REST and a command change it, and a sweep holds back what is here."""
