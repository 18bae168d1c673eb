"""The threads of a web process that send large files: most of them, and never all.

Each reader decides how long such a send takes. Pages, small files and probes keep the other threads, however many
readers are slow. A send through nginx by X-Accel-Redirect, or from S3, holds no thread.
"""

import weakref
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from inspect import isgenerator
from typing import Any, TypeVar

from registry.kernel.errors import DownloadsFull

T = TypeVar("T")
MOST = 48  # of a process that has 64 threads (deploy/gunicorn.conf.py)
LARGE = 1 << 20  # bytes; the kernel takes smaller files whole, whoever reads them
# A deque, because a place may be given back by the garbage collector, in the middle of anything: a lock could be held.
_free = deque([None] * MOST)


def holding(size: int, open_source: Callable[[], T]) -> T:
    """Return what `open_source` opens, of `size` bytes; it has a place until it is closed or nobody has it any more.

    Raises DownloadsFull where no place is free.
    """
    if size <= LARGE:
        return open_source()
    free = _free
    try:
        free.pop()
    except IndexError:
        raise DownloadsFull("This hub sends as many large files as it can at once.") from None
    with ExitStack() as unless_it_opens:
        unless_it_opens.callback(free.append, None)
        source: Any = open_source()
        unless_it_opens.pop_all()
    release = weakref.finalize(source, free.append, None)  # once, whoever calls it
    if not isgenerator(source):  # one goes with its response
        source.close = _both(source.close, release)
    return source  # type: ignore[no-any-return]  # as open_source returned it


def _both(first: Callable[[], object], second: Callable[[], object]) -> Callable[[], None]:
    def close() -> None:
        first()
        second()

    return close
