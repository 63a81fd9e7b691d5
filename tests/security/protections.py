"""`make protections`: each protection removed in turn; a test that carries its row must then fail.

Works in a copy of this tree. `test_protections.py` sees to it that every row is here, and that
what is to be removed still stands where it is said to.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sandbox.environment import ROOT

TESTS = (
    "tests/security",
    "tests/policies",
    "tests/integration/test_disconnecting.py",
    "tests/integration/test_goto_adapter.py",
    "tests/integration/test_template.py",
    "tests/unit/test_config.py",
    "tests/unit/test_model.py",
    "tests/unit/test_oauth.py",
)
COPIED = ("app.py", "chalicelib", "sandbox", "tests", "reader", "rep", "infra", ".chalice", "docs")


@dataclass(frozen=True)
class Protection:
    """What makes a row of the requirements true, and how the code reads without it."""

    row: str
    what: str
    file: str
    stands: str
    removed: str


AUTHORIZE, LINKS, OAUTH = (f"chalicelib/{name}.py" for name in ("authorize", "links", "oauth"))
REQUESTS, LINK_ROWS = "chalicelib/store/requests.py", "chalicelib/store/links.py"
WEB, PAGES, OUTBOUND, INTAKE = (
    f"chalicelib/{name}.py" for name in ("web", "pages", "outbound", "intake")
)
CONNECTIONS, COMPLETE = "chalicelib/store/connections.py", "chalicelib/complete.py"
WEB_POLICY, TEMPLATE = ".chalice/policy-web.json", "infra/template/gateway.yaml"

PROTECTIONS = (
    Protection(
        "S01",
        "a state is burnt by a condition",
        REQUESTS,
        'when=f"{_OPEN} AND #browser = :browser AND #expires_at > :now"',
        'when=f"({_OPEN} OR #status <> :started) AND #browser = :browser AND #expires_at > :now"',
    ),
    Protection(
        "S01",
        "a state ends after ten minutes",
        AUTHORIZE,
        "expires_at=now + REQUEST_LIFETIME",
        "expires_at=now + 6 * REQUEST_LIFETIME",
    ),
    Protection(
        "S01",
        "a state is stored hashed",
        LINKS,
        "return hashlib.sha256(value.encode()).hexdigest()",
        "return value",
    ),
    Protection(
        "S02",
        "an answer belongs to the browser that asked",
        AUTHORIZE,
        "if not browser or links.browser_digest(browser, request.tenant) != request.browser:",
        "if not request.browser:",
    ),
    Protection(
        "S03",
        "another account is refused",
        CONNECTIONS,
        '" OR #pinned_account = :set_pinned_account)"',
        '" OR attribute_exists(#pinned_account))"',
    ),
    Protection(
        "S03",
        "what was refused is revoked",
        COMPLETE,
        "if refused is not None:\n            self._give_back",
        "if refused is Reason.INTERNAL:\n            self._give_back",
    ),
    Protection(
        "S04",
        "the redirect URI is that of the request's row",
        COMPLETE,
        "redirect_uri=request.redirect_uri",
        'redirect_uri="https://beta.analytics.example/admin/settings/activities/"',
    ),
    Protection(
        "S05",
        "a verifier is new each time",
        OAUTH,
        'random bytes (S05)."""\n    return secrets.token_urlsafe(32)',
        'random bytes (S05)."""\n    return "v" * 43',
    ),
    Protection(
        "S05",
        "the challenge is the verifier's hash",
        OAUTH,
        '"code_challenge": code_challenge(verifier)',
        '"code_challenge": verifier',
    ),
    Protection("S06", "nothing is given twice", OAUTH, "if len(given) > 1:", "if len(given) > 9:"),
    Protection(
        "S06",
        "the issuer is compared",
        AUTHORIZE,
        "answer.iss not in (None, self._settings.issuer)",
        "not str(answer.iss).startswith('https')",
    ),
    Protection(
        "S07",
        "the redirect URI comes from configuration",
        AUTHORIZE,
        "redirect_uri=tenant.redirect_uri",
        "redirect_uri=tenant.redirect_uri.rstrip('/')",
    ),
    Protection(
        "S08",
        "an error burns the state",
        REQUESTS,
        'setting = {"status": status, "reason": reason, "returned_at": now, "finished_at": now}',
        'setting = {"reason": reason, "returned_at": now, "finished_at": now}',
    ),
    Protection(
        "S09",
        "what comes after the callback is one address",
        WEB,
        "return redirect(settings, PAGE_PATH, cookies)",
        "from chalicelib.pages import urlsplit\n    import app\n"
        "    asked = app.app.current_request.query_params or {}\n"
        '    return redirect(settings, asked.get("next") or PAGE_PATH, cookies)',
    ),
    Protection(
        "S10",
        "the address after the callback is clean",
        "app.py",
        "services().visit.callback(visitor, parameters)\n"
        "        return web.to_settings_page(services().settings)",
        "services().visit.callback(visitor, parameters)",
    ),
    Protection("S10", "no Referer leaves", PAGES, '"no-referrer"', '"origin"'),
    Protection("S11", "no frame", PAGES, "\"frame-ancestors 'none'\",", ""),
    Protection("S11", "HTTPS only", PAGES, '"Strict-Transport-Security"', '"X-None"'),
    Protection(
        "S11",
        "headers on Chalice's own answers",
        "app.py",
        'if "Content-Security-Policy" in names:',
        "if names:",
    ),
    Protection(
        "S11",
        "headers on the gateway's own errors",
        TEMPLATE,
        "            responseParameters: *headers",
        "            responseParameters: {}",
    ),
    Protection("S12", "cookies are not for scripts", WEB, "Secure; HttpOnly;", "Secure;"),
    Protection("S12", "cookies of this host alone", WEB, '"__Host-ha-browser"', '"ha-browser"'),
    Protection(
        "S13",
        "another site's form starts nothing",
        AUTHORIZE,
        'form.fetch_site not in (None, "same-origin")',
        "form.fetch_site == 0",
    ),
    Protection(
        "S13",
        "another origin's form starts nothing",
        AUTHORIZE,
        'form.origin not in (None, "null", settings.origin(tenant))',
        "form.origin == 0",
    ),
    Protection(
        "S13",
        "a form carries our value",
        LINKS,
        "return hmac.compare_digest(given.encode(), csrf_value(browser, link).encode())",
        "return bool(given or csrf_value(browser, link))",
    ),
    Protection(
        "S13", "HEAD changes nothing", "app.py", 'and _request().method == "GET":', "and True:"
    ),
    Protection(
        "S14",
        "a link ends",
        "chalicelib/model.py",
        "self.used_by is None and now < self.expires_at",
        "self.used_by is None and now",
    ),
    Protection(
        "S14",
        "starts are counted",
        LINK_ROWS,
        '#starts < :most"',
        '(#starts < :most OR #starts > :one)"',
    ),
    Protection(
        "S14",
        "a link is stored hashed",
        LINKS,
        "return hashlib.sha256(value.encode()).hexdigest()",
        "return value",
    ),
    Protection(
        "S14",
        "a link is of one kind",
        "chalicelib/model.py",
        "return self.kind == kind and self.used_by is None",
        "return self.used_by is None",
    ),
    Protection(
        "S14",
        "what was begun at a revoked link connects nothing",
        CONNECTIONS,
        "serves, series = in_series(request.link_series)",
        'serves, series = "attribute_exists(#tenant)", {}',
    ),
    Protection(
        "S15",
        "a fresh link is mailed now and then",
        AUTHORIZE,
        "or not self._links.claim_mail(tenant.name, self._now(), pause=MAIL_PAUSE)",
        "",
    ),
    Protection(
        "S15",
        "a dead link tells nothing of what it was",
        AUTHORIZE,
        'raise LinkNotUsable("link unknown or expired")',
        'raise (LinkNotUsable if found is None else CrossSiteRequest)("which one")',
    ),
    Protection(
        "S16",
        "an older start of the browser is void",
        AUTHORIZE,
        "self._requests.void(browser.current, now)",
        "pass",
    ),
    Protection("S17", "redirects end", OUTBOUND, "allow_redirects=False", "allow_redirects=True"),
    Protection(
        "S17", "answers are cut", OUTBOUND, "if len(body) > LARGEST_ANSWER:", "if not body:"
    ),
    Protection(
        "S17",
        "the machine has no say",
        OUTBOUND,
        "self._session.trust_env = False",
        "self._session.trust_env = True",
    ),
    Protection(
        "S17", "the whole has a deadline", OUTBOUND, "with watch(seconds) as", "with watch(99) as"
    ),
    Protection(
        "S18",
        "the token hides after ten minutes",
        AUTHORIZE,
        "shown = self._clock() - browser.completed_at < TOKEN_SHOWN_FOR",
        "shown = True",
    ),
    Protection(
        "S18",
        "the token of another's authorization hides",
        AUTHORIZE,
        "own = browser.completed_at == connection.connected_at",
        "own = True",
    ),
    Protection(
        "S18",
        "who and when are for those who connected",
        AUTHORIZE,
        "connection is not None and browser is not None and browser.completed_at",
        "True",
    ),
    Protection(
        "S19",
        "the web function has no way to grants",
        WEB_POLICY,
        '"Fn::GetAtt": [\n          "Links"',
        '"Fn::GetAtt": [\n          "Grants"',
    ),
    Protection(
        "S19",
        "IAM alone opens no refresh token",
        "infra/template/keys.yaml",
        "          # Who deploys makes tables",
        "          - *decided-by-iam\n          # Who deploys makes tables",
    ),
    Protection(
        "S20",
        "a client secret has no repr",
        OAUTH,
        "client_secret: str = field(repr=False)",
        "client_secret: str",
    ),
    Protection(
        "S20",
        "an error is told without its text",
        "app.py",
        'report("unexpected error", error)',
        'logger().exception("unexpected error")',
    ),
    Protection(
        "S21",
        "what a role never does it may not do",
        ".chalice/policy-mail-feedback.json",
        '"dynamodb:PutItem"',
        '"dynamodb:PutItem", "dynamodb:DeleteItem"',
    ),
)


def copy(target: Path) -> None:
    """This tree, as far as these tests need it."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for file in ROOT.glob("*.t*"):  # pyproject.toml, requirements.txt
        shutil.copy(file, target)
    if (ROOT / ".sandbox").is_dir():
        (target / ".sandbox").symlink_to(ROOT / ".sandbox")


def failures(tree: Path, row: str) -> list[str]:
    """Names of the tests of a row that fail in a tree.

    Raises `RuntimeError` when they could not be run at all: that would look like a kill.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no"]
    select = f"{row.lower()} and not moto and not dynamodb-local"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [*command, "-k", select, "--ignore", "tests/security/test_protections.py", *TESTS],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode not in (0, 1) or "\nERROR " in ran.stdout:
        raise RuntimeError(f"the tests of {row} did not run:\n{ran.stdout[-2_000:]}")
    return sorted(set(re.findall(r"^FAILED \S+::(\w+)", ran.stdout, re.MULTILINE)))


def main() -> int:
    """Remove each in turn; 1 when one is missed by the tests of its row."""
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy(tree)
        for row in sorted({each.row for each in PROTECTIONS}):
            if failures(tree, row):
                print(f"{row}: fails before anything is removed")
                return 1
        for each in PROTECTIONS:
            file = tree / each.file
            whole = file.read_text("utf-8")
            file.write_text(whole.replace(each.stands, each.removed, 1), "utf-8")
            found = failures(tree, each.row)
            file.write_text(whole, "utf-8")
            missed += not found
            print(f"{each.row}  {each.what}: {', '.join(found) or 'MISSED'}", flush=True)
    print(f"{len(PROTECTIONS) - missed} of {len(PROTECTIONS)} removals were noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
