"""The threads of a web process that requests hold while nothing happens, counted together.

Streams, long polls and readers of other hubs have limits of their own kind. This sum keeps the rest of the threads for
requests that have work to do, also when all kinds come at once.
"""

import threading

MOST = 44  # of a process that has 64 threads (deploy/gunicorn.conf.py)

held_threads = threading.BoundedSemaphore(MOST)
