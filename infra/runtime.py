"""The Python version that Lambda runs, the same from every operator's machine.

`chalice package` names the Python it runs on as the runtime, and bytecode fits only one version, so
only this version builds packages for AWS. Developers may use 3.11 or later. Imports only the
standard library: `sandbox.environment` reads it before any package is installed.
"""

import os
import sys

RUNTIME = (3, 13)
"""docs/runbook.md says how long AWS supports it (*The runtime ends*). Change both together."""

NAME = f"python{RUNTIME[0]}.{RUNTIME[1]}"
"""Its name in Lambda, and of the program on an operator's machine."""


def fault() -> str | None:
    """Why this Python can't package for AWS, in one sentence. The local cloud runs any version."""
    if sys.version_info[:2] == RUNTIME or os.environ.get("AWS_ENDPOINT_URL"):
        return None
    here = ".".join(map(str, sys.version_info[:2]))
    return (
        f"Lambda runs the product on Python {RUNTIME[0]}.{RUNTIME[1]}, and this is {here}:"
        f" install {NAME}, then run make again."
    )
