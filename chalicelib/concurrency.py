"""The same work for many, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

Each = TypeVar("Each")
Result = TypeVar("Result")


class Run(Protocol):
    """Applies a piece of work to each; `map` is one."""

    def __call__(
        self, work: Callable[[Each], Result], each: Iterable[Each], /
    ) -> Iterable[Result]: ...


def pooled(threads: int) -> Run:
    """Work with that many threads at once: one slow piece holds up one of them (F14)."""

    def run(work: Callable[[Each], Result], each: Iterable[Each], /) -> Iterator[Result]:
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(work, each)

    return run
