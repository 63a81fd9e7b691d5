"""Where an access token may be sent: over TLS, or to this machine while practising."""

from urllib.parse import urlsplit

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


def check(url: str) -> None:
    """Raise `ValueError` where a token would travel in the clear."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host in _THIS_MACHINE or host.endswith(".localhost"):
        return
    raise ValueError("an access token is sent over https only")
