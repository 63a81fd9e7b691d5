"""Text as an attacker, or somebody else's broken system, sends it (S30)."""

HOSTILE = (
    "\x1b]0;OWNED\x1b\\\x1b[2K\x1b[1A",  # title set, line erased, cursor up
    "\r\nBcc: victim@example.com",
    "\u202egnp.exe",
    "\u2066hidden\u2069",
    "\x9b31m",  # CSI as one C1 control
    "a\u2028b\u2029c",
    "\u200b\ufeff\u00ad",
    "\x00\x08\x7f",
    "[bold red]4000[/]",
    "4000[/x]",
    "<script>alert(1)</script>",
    "{0.__class__} {{ 7 * 7 }}",
    "\ud800",
    "\U000e0041\ue000",
)

OBEYED = frozenset("\x00\x08\x1b\r\x7f\x9b\u202e\u2066\u2069\u2028\u2029\u200b\ufeff\u00ad\ud800")
"""Characters of these that no terminal, header or log may get as they are."""


def obeyed(text: str) -> set[str]:
    return set(OBEYED & set(text))
