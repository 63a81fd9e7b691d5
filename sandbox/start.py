"""What `make` runs first: hands over to a Python that is new enough.

Python 2.7 and later can run this file. The modules that it starts need 3.11.
"""

import os
import subprocess
import sys

OLDEST = (3, 11)
_NEWER = ("python3.11", "python3.12", "python3.13", "python3.14")
_CHECK = "import sys; sys.exit(sys.version_info < %r)" % (OLDEST,)


def interpreter():
    # type: () -> str | None
    """Path of this Python, or of the first on PATH that is new enough and starts."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for name in _NEWER:
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
            path = os.path.join(folder, name)
            # A version manager has a program of each name, which fails if the version is missing.
            if os.access(path, os.X_OK) and _starts(path):
                return path
    return None


def _starts(path):
    # type: (str) -> bool
    quiet = subprocess.PIPE
    started = subprocess.Popen([path, "-c", _CHECK], stdout=quiet, stderr=quiet)
    started.communicate()
    return started.returncode == 0


if __name__ == "__main__":
    found = interpreter()
    if found is None:
        sys.exit(
            "Python %d.%d or newer is needed, and this is %d.%d: install it, or name it with"
            " `make PYTHON=...`." % (OLDEST + tuple(sys.version_info[:2]))
        )
    # Otherwise each of the hundreds of programs started later would compile the same modules.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.execv(found, [found, "-m", "sandbox.environment"] + sys.argv[1:])
