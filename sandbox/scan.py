"""`make scan`: runs Wapiti against the product on this machine, with an invited admin's cookies.

`--short`: one page with the modules that only look, for CI.

It attacks only the product: GoTo's sandbox is out of scope, and modules that need a server on the
internet, or a database from there, are left out.
"""

import argparse
import json
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sandbox import tenants
from sandbox.cloud import LocalCloud
from sandbox.environment import ROOT, STATE, step, virtual_environment
from sandbox.settings import Ports, Settings

LOCK = ROOT / "sandbox" / "requirements-scan.txt"
MODULES = (
    "backup,cookieflags,crlf,csp,csrf,exec,file,htaccess,http_headers,ldap,methods,permanentxss,"
    "redirect,shellshock,sql,timesql,upload,xss"
)
LOOKING = "cookieflags,csp,http_headers"
"""Modules that send only the page's own requests."""
LONGEST = 900
"""Seconds for one start address."""

ACCEPTED: dict[str, str] = {}
"""False findings by name, each with the reason."""


def main() -> int:
    """Scan each page that anybody can reach; 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.scan")
    parser.add_argument("--short", action="store_true", help="look at one page")
    short = parser.parse_args().short
    python = virtual_environment(STATE / "scan-venv", LOCK, "The scanner")
    ports = Ports.free()
    with tempfile.TemporaryDirectory() as folder:
        cloud = LocalCloud(Settings(ports), Path(folder))
        cloud.start(step)
        try:
            addresses, options = _invited(cloud)
            if short:
                addresses = dict([*addresses.items()][:1])
            modules = LOOKING if short else MODULES
            wapiti = [str(python.with_name("wapiti")), "-m", modules, *options]
            reports = _scan(addresses, wapiti, Path(folder))
        finally:
            cloud.stop()
    return _told(reports)


def _invited(cloud: LocalCloud) -> tuple[dict[str, str], list[str]]:
    """Start addresses, and options that make the scanner an invited admin's browser."""
    link = tenants.onboard(cloud, "acme", "Acme Analytics", "admin@acme.example")
    intake = str(cloud.rep("intake_create", tenant="acme")["url"])
    # By number: not every resolver has the names under .localhost.
    origin = f"http://127.0.0.1:{cloud.settings.ports.edge}"
    host = cloud.origin("acme").removeprefix("http://")
    page = f"{origin}/admin/settings/activities/"
    value, browser = link.rsplit("/", 1)[1], secrets.token_urlsafe(32)
    cookies = f"__Host-ha-link={value}; __Host-ha-browser={browser}"
    addresses = {
        "the settings page": page,
        "the callback": f"{page}?state={'A' * 43}&code=c&iss=i&error_description=d",
        "the emailed link": f"{origin}/connect/{value}",
        "a dead link": f"{origin}/connect/{'A' * 43}",
        "the credential intake": f"{origin}/intake/{intake.rsplit('/', 1)[1]}",
    }
    return addresses, ["-C", cookies, "-H", f"X-Forwarded-Host: {host}"]


def _scan(addresses: dict[str, str], wapiti: list[str], folder: Path) -> dict[str, Any]:
    reports = {}
    for name, address in addresses.items():
        report = folder / "report.json"
        with step(f"Scanning {name}"):
            command = [
                *(*wapiti, "-u", address, "--scope", "page", "-S", "normal", "-d", "2"),
                *("--max-scan-time", str(LONGEST), "--flush-session", "--no-bugreport", "-v", "0"),
                *("--store-session", str(folder / "session"), "-f", "json", "-o", str(report)),
            ]
            ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if not report.exists():
                raise SystemExit(f"the scanner failed:\n{ran.stdout[-1_000:]}{ran.stderr[-1_000:]}")
            reports[name] = json.loads(report.read_text("utf-8"))
            report.unlink()
    return reports


def _told(reports: dict[str, Any]) -> int:
    found = 0
    for address, report in reports.items():
        crawled = report["infos"]["crawled_pages_nbr"]
        if not crawled:
            raise SystemExit(f"{address} was not reached: nothing was scanned")
        print(f"\n{address}: {crawled} addresses crawled")
        for group in ("vulnerabilities", "anomalies"):
            for kind, findings in report[group].items():
                for finding in findings:
                    accepted = ACCEPTED.get(kind)
                    found += accepted is None
                    print(f"  {kind}: {finding['info']}{f' ({accepted})' if accepted else ''}")
    print(f"\n{found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
