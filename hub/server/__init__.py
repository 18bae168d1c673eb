"""The server below Django: gunicorn's workers, bodies of requests and answers, caches and counters of the processes."""
