"""Stretches of time, in seconds, added to and taken from one another."""

from collections.abc import Iterator

Spans = list[tuple[float, float]]


def cut(spans: Spans, begin: float, end: float) -> Iterator[tuple[float, float]]:
    for first, last in spans:
        if first < end and last > begin:
            yield max(first, begin), min(last, end)


def length(spans: Spans) -> float:
    return sum(last - first for first, last in spans)


def union(spans: Spans) -> Spans:
    joined: Spans = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def without(spans: Spans, windows: Spans) -> Spans:
    """What is left of the spans outside of the windows."""
    for begin, end in windows:
        pieces: Spans = []
        for first, last in spans:
            if first < begin:
                pieces.append((first, min(last, begin)))
            if last > end:
                pieces.append((max(first, end), last))
        spans = [piece for piece in pieces if piece[0] < piece[1]]
    return spans
