"""Large files hold a thread until their reader has them: no more of them at once than leave threads for all else.

A send through nginx by X-Accel-Redirect, or from S3, holds no thread.
"""

import weakref
from collections.abc import Callable
from contextlib import ExitStack
from inspect import isgenerator
from typing import Any, TypeVar

from registry.kernel.errors import DownloadsFull
from registry.kernel.held_threads import held_threads

T = TypeVar("T")
LARGE = 1 << 20  # bytes; the kernel takes smaller files whole, whoever reads them


def holding(size: int, open_source: Callable[[], T]) -> T:
    """Return what `open_source` opens, of `size` bytes; it counts as a held thread until it is closed or dropped.

    Raises DownloadsFull where no more may be held.
    """
    if size <= LARGE:
        return open_source()
    if not held_threads.take():
        raise DownloadsFull("This hub sends as many large files as it can at once.")
    with ExitStack() as unless_it_opens:
        unless_it_opens.callback(held_threads.give_back)
        source: Any = open_source()
        unless_it_opens.pop_all()
    give_back = weakref.finalize(source, held_threads.give_back)  # once, whoever calls it
    if not isgenerator(source):  # one is dropped with its response
        source.close = _both(source.close, give_back)
    return source  # type: ignore[no-any-return]  # as open_source returned it


def _both(first: Callable[[], object], second: Callable[[], object]) -> Callable[[], None]:
    def close() -> None:
        first()
        second()

    return close
