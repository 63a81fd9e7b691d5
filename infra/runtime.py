"""The Python that Lambda runs the product on, the same from every operator's machine.

`chalice package` names the Python that it runs on, and bytecode is of one Python: so a package for
AWS is made by this one only. On a developer's machine any Python from 3.11 on will do. Imports the
standard library only: `sandbox.environment` reads it before any package is there.
"""

import os
import sys

RUNTIME = (3, 13)
"""docs/runbook.md says until when AWS serves it (*The runtime ends*). Change both together."""

NAME = f"python{RUNTIME[0]}.{RUNTIME[1]}"
"""What Lambda calls it, and the program on an operator's machine."""


def fault() -> str | None:
    """One sentence where this Python can't package for AWS. The local cloud runs any."""
    if sys.version_info[:2] == RUNTIME or os.environ.get("AWS_ENDPOINT_URL"):
        return None
    here = ".".join(map(str, sys.version_info[:2]))
    return (
        f"Lambda runs the product on Python {RUNTIME[0]}.{RUNTIME[1]}, and this is {here}:"
        f" install {NAME}, then run make again."
    )
