"""Values computed once: the least recently used are forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cache(Generic[T]):
    """At most ``limit`` values by what they were computed from."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._values: OrderedDict[Hashable, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> list[tuple[Hashable, T]]:
        """Keys and values, the one used last at the end."""
        return list(self._values.items())

    def put(self, key: Hashable, value: T) -> None:
        """Keeps a value that was computed elsewhere; one that is there already stays."""
        self.get(key, lambda: value)

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The value of that key, computed when it is not there; nothing is kept when ``compute`` raises."""
        if key not in self._values:
            value = compute()
            self._values[key] = value
            if len(self._values) > self.limit:
                self._values.popitem(last=False)
            return value
        self._values.move_to_end(key)
        return self._values[key]
