"""How requests come in and answers go out: gunicorn's workers, bodies, caches and counters of the processes."""
