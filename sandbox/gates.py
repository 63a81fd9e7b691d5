"""The scanners of `make check`, in their own environment because their pins differ from ours."""

import os
import subprocess
from pathlib import Path

from infra import roles
from infra.package import Package
from sandbox import policies
from sandbox.environment import ROOT, STATE, VENV, private_folder, virtual_environment

LOCK = ROOT / "sandbox" / "requirements-gates.txt"

SHIPPED = ("app.py", "chalicelib", "infra", "reader/src", "cli")

BESIDE = tuple(sorted(set((ROOT / "infra").glob("*.yaml")) - {roles.TABLE}))
"""Templates of the other stacks, besides the product's."""

HOSTED = {"github-workflows": ".github/workflows/*.yml", "dependabot": ".github/dependabot.yml"}
"""Files that GitHub reads, by the schema that they must match."""

BILL = STATE / "sbom.json"
"""CycloneDX's bill of materials for what goes to Lambda."""

LICENCES = (
    "Apache Software License",
    "Apache-2.0",
    "Apache License 2.0",
    "BSD License",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT License",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
    "Python Software Foundation License",
)
"""Allowed for runtime packages: each requires only that its text be kept. The MPL is certifi's; we
do not change its files."""


def run(built: Package) -> bool:
    """Run all scanners; whether all of them are clean."""
    folder = private_folder(STATE) / "gates-venv"
    scripts = virtual_environment(folder, LOCK, "The scanners").parent
    templates = [built.template, *BESIDE]
    files = [word for file in templates for word in ("--file", str(file))]
    clean = [
        ran(scripts, "bandit", "--quiet", "--configfile", "pyproject.toml", "-r", *SHIPPED),
        *(
            ran(scripts, "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *_files(where))
            for schema, where in HOSTED.items()
        ),
        ran(scripts, "checkov", "--config-file", ".checkov.yaml", *files),
        policies.clean(scripts / "parliament", built),
        ran(scripts, "cyclonedx-py", "requirements", "requirements.txt", "-o", str(BILL)),
        ran(
            scripts,
            "pip-licenses",
            f"--python={VENV / 'bin' / 'python'}",
            "--summary",
            "--packages",
            *_runtime(),
            "--allow-only",
            ";".join(LICENCES),
        ),
    ]
    return all(clean)


def _files(where: str) -> list[str]:
    return [str(file.relative_to(ROOT)) for file in sorted(ROOT.glob(where))]


def _runtime() -> list[str]:
    """Names of the packages that go to Lambda."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [line.partition("==")[0].strip() for line in lines if "==" in line]


def ran(folder: Path, name: str, *arguments: str) -> bool:
    """Run a program of that folder; whether it succeeds. Prints its output in one piece, because
    another program runs at the same time."""
    # Otherwise Checkov asks its maker's server about each finding.
    environment = {**os.environ, "BC_SKIP_MAPPING": "TRUE"}
    done = subprocess.run(
        [str(folder / name), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(f"\n{' '.join((name, *arguments))}\n{done.stdout}", end="", flush=True)
    return done.returncode == 0
