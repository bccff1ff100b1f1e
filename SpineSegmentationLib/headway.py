"""How far a long computation is, told from deep inside it: as shares of the whole, whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

Tell = Callable[[float], None]


def _nobody(share: float) -> None:
    pass


_LISTENER: ContextVar[Tell] = ContextVar("who is told how far a computation is", default=_nobody)


@contextmanager
def telling(tell: Tell) -> Iterator[None]:
    """Within this, ``tell`` gets the share that is done, 0..1, never a smaller one than before.

    What it raises ends the computation.
    """
    reached = 0.0

    def further(share: float) -> None:
        nonlocal reached
        if share > reached:
            reached = share
            tell(share)

    token = _LISTENER.set(further)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def portion(begin: float, end: float) -> Iterator[None]:
    """Within this, a computation is a part of the one around it, from ``begin`` to ``end``, and done at its end."""
    outer = _LISTENER.get()
    token = _LISTENER.set(lambda share: outer(begin + share * (end - begin)))
    try:
        yield
    finally:
        _LISTENER.reset(token)
    outer(end)


def counted(items: Sequence[T]) -> Iterator[T]:
    """The items; each counts as an equal part of the computation, done when the next one is asked for."""
    tell = _LISTENER.get()
    for number, item in enumerate(items, 1):
        yield item
        tell(number / len(items))
