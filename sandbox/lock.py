"""`make lock`: resolves the requirements again, and writes the locks with hashes.

Each separate environment has a lock: Lambda, the repository's own commands, the local cloud, the
scanners, and those that few people need. One more is for the part of the repository's lock that
`make run` needs, which installs in a quarter of the time.
"""

import sys

from sandbox.environment import UV, Missing, call, step

LOCKS = (
    (("requirements.in",), "requirements.txt"),
    (("requirements-dev.in", "-c", "requirements.txt"), "requirements-dev.txt"),
    (("requirements-run.in", "-c", "requirements-dev.txt"), "requirements-run.txt"),
    (("sandbox/requirements-cloud.in",), "sandbox/requirements-cloud.txt"),
    (("sandbox/requirements-scan.in",), "sandbox/requirements-scan.txt"),
    (("sandbox/requirements-gates.in",), "sandbox/requirements-gates.txt"),
    (("sandbox/requirements-docs.in",), "sandbox/requirements-docs.txt"),
    (("sandbox/requirements-newcomer.in",), "sandbox/requirements-newcomer.txt"),
)


def main() -> int:
    """Write every lock."""
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--upgrade"]
    # pip requires a lock line with the same extras for a requirement with extras.
    options.append("--no-strip-extras")
    quiet = ["--quiet", "--no-annotate", "--no-header", "--no-emit-index-url"]
    for sources, target in LOCKS:
        with step(f"Locking {target}"):
            compile_ = [str(UV), "pip", "compile", *options, *quiet]
            call([*compile_, *sources, "-o", target], f"Locking {target} failed")
    with step("Locking tests/package-lock.json"):
        npm = ["npm", "install", "--package-lock-only", "--omit-lockfile-registry-resolved"]
        call([*npm, "--prefix", "tests", "--ignore-scripts"], "npm failed")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Missing as missing:
        sys.exit(str(missing))
