"""`make protections`: each protection removed in turn; a test that carries its row must then fail.

Works in a copy of this tree. `test_protections.py` sees to it that every row is here, and that
what is to be removed still stands where it is said to.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Queue

from sandbox.environment import ROOT

TESTS = (
    "tests/security",
    "tests/policies",
    "tests/rep/test_hostile_text.py",
    "tests/integration/test_accounts.py",
    "tests/integration/test_announcing.py",
    "tests/integration/test_usable.py",
    "tests/integration/test_disconnecting.py",
    "tests/integration/test_goto_adapter.py",
    "tests/integration/test_on_demand.py",
    "tests/integration/test_template.py",
    "tests/sandbox/test_control.py",
    "tests/unit/test_edge.py",
    "tests/rep/test_proof.py",
    "tests/unit/test_caller.py",
    "tests/unit/test_config.py",
    "tests/unit/test_model.py",
    "tests/unit/test_oauth.py",
    "tests/unit/test_outside.py",
    "reader/tests",
    "tests/reader/test_served.py",
)
COPIED = ("app.py", "chalicelib", "sandbox", "tests", "reader", "cli", "infra", ".chalice", "docs")


@dataclass(frozen=True)
class Protection:
    """What makes a row of the requirements true, and how the code reads without it."""

    row: str
    what: str
    file: str
    stands: str
    removed: str


AUTHORIZE, LINKS, OAUTH = (
    f"chalicelib/{name}.py" for name in ("connect/authorize", "opaque", "goto/oauth")
)
REQUESTS, LINK_ROWS = (
    "chalicelib/dynamodb/authorization_requests.py",
    "chalicelib/dynamodb/links.py",
)
JOURNAL = "chalicelib/dynamodb/journal.py"
PINS = "chalicelib/dynamodb/tenants.py"
VIEWS = "chalicelib/web/views.py"
WEB, PAGES, OUTBOUND, INTAKE, VIEW = (
    f"chalicelib/{name}.py"
    for name in ("web/http", "web/pages", "goto/http", "connect/client_form", "connect/page_views")
)
READER_TABLE = "reader/src/ha_goto_tokens/table.py"
ON_DEMAND = "chalicelib/refresh/on_demand.py"
CONNECTIONS, COMPLETE = "chalicelib/dynamodb/connections.py", "chalicelib/connect/complete.py"
ACCOUNT_ROWS, RULE = "chalicelib/dynamodb/accounts.py", "chalicelib/tokens/account_rule.py"
OUTSIDE, ONBOARD, TELEMETRY = (
    f"chalicelib/{name}.py" for name in ("untrusted_text", "rep/onboarding", "aws/telemetry")
)
CALLER, REP_ACCESS = "chalicelib/rep/caller_identity.py", "infra/rep-access.yaml"
REFRESH, ACCOUNTS, TENANTS = (
    f"chalicelib/{name}.py"
    for name in (
        "refresh/refresher",
        "refresh/accounts",
        "dynamodb/tenants",
    )
)
ROLES, TEMPLATE = "infra/roles.yaml", "infra/template/gateway.yaml"
DOOR, VISITOR_TOKENS, SHARED_KEYS = (
    f"chalicelib/{name}.py"
    for name in ("connect/visitors", "connect/visitor_tokens", "aws/shared_keys")
)
GUARD, CONTROL = "sandbox/guard.py", "sandbox/goto/control.py"

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
        'return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()',
        "return value",
    ),
    Protection(
        "S02",
        "an answer belongs to the browser that asked",
        AUTHORIZE,
        "if _value_of(request, cookies, state) is None:",
        "if not request.browser:",
    ),
    Protection(
        "S02",
        "a state is of the person's own tenant",
        AUTHORIZE,
        "if cookies.of_another(request.tenant):",
        "if not request.tenant:",
    ),
    Protection(
        "S03",
        "another account is refused",
        ACCOUNT_ROWS,
        'f"({allowed} OR #pinned_account = :set_pinned_account)"',
        'f"({allowed} OR attribute_exists(#pinned_account))"',
    ),
    Protection(
        "S03",
        "what was refused is revoked",
        COMPLETE,
        "if _must_be_revoked(done):\n            self._revoke_new_tokens(client",
        "if done.reason is Reason.INTERNAL:\n            self._revoke_new_tokens(client",
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
    Protection("S06", "nothing comes twice", OAUTH, "if len(values) > 1:", "if len(values) > 9:"),
    Protection(
        "S06",
        "the issuer is compared",
        AUTHORIZE,
        "answer.iss not in (None, self.settings.issuer)",
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
        "from chalicelib.web.pages import urlsplit\n    import app\n"
        "    asked = app.app.current_request.query_params or {}\n"
        '    return redirect(settings, asked.get("next") or PAGE_PATH, cookies)',
    ),
    Protection(
        "S10",
        "the address after the callback is clean",
        VIEWS,
        "return http.to_settings_page(self.settings, cookies)",
        "assert cookies is not None",
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
        "THROTTLED: &busy\n            responseParameters: *headers",
        "THROTTLED: &busy\n            responseParameters: {}",
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
        'form.origin not in (None, "null") and not settings.is_origin(form.origin, tenant)',
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
        "S13",
        "HEAD changes nothing",
        VIEWS,
        'and self.request.method == "GET":',
        "and True:",
    ),
    Protection(
        "S14",
        "a link ends",
        "chalicelib/models.py",
        "self.used_by is None and now < self.expires_at",
        "self.used_by is None and now",
    ),
    Protection(
        "S14",
        "starts are counted",
        LINK_ROWS,
        '#{starts} < :most",',
        '(#{starts} < :most OR #{starts} > :add_{starts})",',
    ),
    Protection(
        "S14",
        "a link is stored hashed",
        LINKS,
        'return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()',
        "return value",
    ),
    Protection(
        "S14",
        "a link is of one kind",
        "chalicelib/models.py",
        "return self.kind == kind and self.used_by is None",
        "return self.used_by is None",
    ),
    Protection(
        "S14",
        "a visitor's token is signed",
        VISITOR_TOKENS,
        "algorithms=[ALGORITHM])",
        'algorithms=[ALGORITHM], options={"verify_signature": False})',
    ),
    Protection(
        "S14",
        "a visitor's token is signed by one algorithm",
        VISITOR_TOKENS,
        "algorithms=[ALGORITHM]",
        'algorithms=["HS256", "HS384", "HS512"]',
    ),
    Protection(
        "S14",
        "a visitor's token ends",
        VISITOR_TOKENS,
        "return now < expires <= now",
        "return expires <= now",
    ),
    Protection(
        "S14",
        "a visitor's token ends within minutes",
        VISITOR_TOKENS,
        "return now < expires <= now + VISITOR_TOKEN_LIFETIME",
        "return now < expires",
    ),
    Protection(
        "S14",
        "a visitor's token is for this origin",
        VISITOR_TOKENS,
        'if claims.get("aud") != origin:',
        "if not origin:",
    ),
    Protection(
        "S14",
        "a visitor's token names a tenant, no row of ours",
        VISITOR_TOKENS,
        "or not _TENANT.fullmatch(tenant)",
        "or not tenant",
    ),
    Protection(
        "S14",
        "a visitor's subject shows as it is",
        VISITOR_TOKENS,
        "<= LONGEST_SUBJECT and printable(subject)",
        "<= LONGEST_SUBJECT",
    ),
    Protection(
        "S14",
        "a visitor's email is an address",
        VISITOR_TOKENS,
        "if shown and address_fault(email) is None else None",
        "if shown else None",
    ),
    Protection(
        "S14",
        "in required no link opens anything",
        DOOR,
        "if required and cookies.identity is None:",
        "if required and cookies.identity is None and not cookies.link:",
    ),
    Protection(
        "S14",
        "in off no token is looked at",
        DOOR,
        "if self.settings.visitor_identity is VisitorIdentity.OFF or not tokens:",
        "if not tokens:",
    ),
    Protection(
        "S14",
        "a visitor's key can't be guessed",
        SHARED_KEYS,
        "SHORTEST = 32",
        "SHORTEST = 1",
    ),
    Protection(
        "S14",
        "a visitor's key that is taken out counts no more",
        SHARED_KEYS,
        "if not self._keys or now - self._read_at >= SHARED_KEYS_KEPT:",
        "if not self._keys:",
    ),
    Protection(
        "S14",
        "a person enters no client for another tenant",
        INTAKE,
        "if cookies.of_another(found.tenant):",
        "if not found.tenant:",
    ),
    Protection(
        "S14",
        "the edge drops a visitor's own token",
        "sandbox/edge.py",
        "[*own, login.HEADER]",
        "own",
    ),
    Protection(
        "S14",
        "what was begun at a revoked link connects nothing",
        ACCOUNT_ROWS,
        "    serves, series = in_series(request.link_series)\n    allowed",
        '    serves, series = "attribute_exists(#tenant)", {}\n    allowed',
    ),
    Protection(
        "S15",
        "a fresh link is mailed now and then",
        AUTHORIZE,
        "if not self.links.claim_mail(tenant.name, self._now(), pause=MAIL_PAUSE):",
        "if not MAIL_PAUSE:",
    ),
    Protection(
        "S15",
        "a dead link tells nothing of what it was",
        DOOR,
        'raise LinkNotUsable("link unknown or expired")',
        'raise (LinkNotUsable if found is None else NotReadyToConnect)("which one")',
    ),
    Protection(
        "S16",
        "an older start of the browser is void",
        AUTHORIZE,
        "self.requests.void(browser.current, now)",
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
        VIEW,
        "left = browser.completed_at + TOKEN_SHOWN_FOR - now",
        "left = 1.0",
    ),
    Protection(
        "S18",
        "the token of another's authorization hides",
        VIEW,
        "own = browser.sequence is not None and browser.sequence == connection.sequence",
        "own = True",
    ),
    Protection(
        "S18",
        "who and when are for those who connected",
        VIEW,
        "if connection is None or browser is None or not browser.completed_at:",
        "if connection is None:",
    ),
    Protection(
        "S19",
        "the web function has no way to grants",
        ROLES,
        "      Links:\n        get:\n        update: [link, start_window",
        "      Grants:\n        get:\n        update: [link, start_window",
    ),
    Protection(
        "S19",
        "the web function reads one secret, where visitors are known",
        ROLES,
        "    shared_keys: {VisitorKey: KnowsVisitors}",
        "    secrets: [GetSecretValue]",
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
        "chalicelib/models.py",
        "client_secret: str = field(repr=False)",
        "client_secret: str",
    ),
    Protection(
        "S20",
        "an error is told without its text",
        "chalicelib/web/views.py",
        'report("unexpected error", cause)',
        'logger().exception("unexpected error")',
    ),
    Protection(
        "S21",
        "what a role never does it may not do",
        ROLES,
        "        put: [ENTRY]\n\n  Announce:",
        "        put, delete: [ENTRY]\n\n  Announce:",
    ),
    Protection(
        "S30",
        "who authorized is printable",
        OUTSIDE,
        'characters = (" " if _unseen(each) else each for each in value)',
        "characters = value",
    ),
    Protection(
        "S30",
        "who authorized is bounded",
        OUTSIDE,
        "[:longest]",
        "",
    ),
    Protection(
        "S30",
        "an account key is one",
        "chalicelib/goto/api.py",
        "key = untrusted_text.account_key(value)",
        "key = str(value) if isinstance(value, str | int) and value else None",
    ),
    Protection(
        "S30",
        "a token of another type than Bearer has no life",
        "chalicelib/goto/token_response.py",
        'bearer = access_token is not None and untrusted_text.is_bearer(fields.get("token_type"))',
        "bearer = True",
    ),
    Protection(
        "S30",
        "an exchange for such a token is given back",
        COMPLETE,
        "if not verdict.bearer:",
        "if False:",
    ),
    Protection(
        "S30",
        "the words of a refusal make no callback malformed",
        OAUTH,
        "_once(parameters, words)",
        "_single(parameters, words)",
    ),
    Protection(
        "S30",
        "mail addresses are checked",
        ONBOARD,
        '"admin_email": untrusted_text.address_fault',
        '"admin_email": lambda _: None',
    ),
    Protection(
        "S30",
        "names of customers can be shown",
        ONBOARD,
        "if sized and untrusted_text.printable(display_name):",
        "if sized:",
    ),
    Protection(
        "S30",
        "some names are no customer's",
        ONBOARD,
        "if not _RESERVED.fullmatch(name):",
        "if name:",
    ),
    Protection(
        "S30",
        "nor are they imported",
        "chalicelib/rep/bulk_import.py",
        "error=told.error or reserved(line.tenant)",
        "error=told.error",
    ),
    Protection(
        "S30",
        "what the service tells is inert on a rep's terminal",
        "cli/output.py",
        '"?" if _obeyed(each) else each',
        "each",
    ),
    Protection(
        "S30",
        "what a mail is filled with is inert",
        "chalicelib/notify/email_templates.py",
        'values = {"name": inert(name), "tenant": inert(tenant), "text": inert(text)}',
        'values = {"name": name, "tenant": tenant, "text": text}',
    ),
    Protection(
        "S30",
        "a name on a page turns no writing but its own",
        "chalicelib/web/templates/settings.html",
        "<bdi>{{ connection.principal }}</bdi>",
        "{{ connection.principal }}",
    ),
    Protection(
        "S30",
        "log lines are ASCII",
        TELEMETRY,
        'separators=(",", ":"))',
        'separators=(",", ":"), ensure_ascii=False)',
    ),
    Protection(
        "S30",
        "logs are inert where they are followed",
        "sandbox/logs.py",
        'return inert(" ".join(parts))',
        'return " ".join(parts)',
    ),
    Protection(
        "S31",
        "handlers let no text out",
        TELEMETRY,
        "except Exception as error:  # noqa: BLE001 - nothing may pass as it is",
        "except ZeroDivisionError as error:",
    ),
    Protection(
        "S31",
        "what handlers end in has no context",
        TELEMETRY,
        "        raise failed  # out",
        "            raise failed\n        # out",
    ),
    Protection(
        "S31",
        "the rep's function is closed",
        "app.py",
        "@closed\ndef rep_command(",
        "def rep_command(",
    ),
    Protection(
        "S31",
        "the rescue is closed",
        "app.py",
        "@closed\ndef rescue(",
        "def rescue(",
    ),
    Protection(
        "S31",
        "Chalice logs nothing by itself",
        "app.py",
        "app.log.disabled = True",
        "app.log.disabled = False",
    ),
    Protection(
        "S31",
        "texts of others' errors are not logged",
        TELEMETRY,
        "if isinstance(error, ServiceError) else None",
        "if error else None",
    ),
    Protection(
        "S34",
        "the local cloud checks what a request is signed with",
        GUARD,
        "return not (failure or self._sigv4.request_time_failure(signature))",
        "return True",
    ),
    Protection(
        "S34",
        "a signature is good for minutes",
        GUARD,
        "return not (failure or self._sigv4.request_time_failure(signature))",
        "return not failure",
    ),
    Protection(
        "S34",
        "the key in the header is compared",
        GUARD,
        "return any(hmac.compare_digest(shown, secret.encode()) for secret in self._keys.values())",
        "return bool(shown)",
    ),
    Protection(
        "S34",
        "no page is let in, even with a signature",
        GUARD,
        'if "origin" in headers or headers.get("host")',
        'if headers.get("host")',
    ),
    Protection(
        "S34",
        "no foreign host is let in",
        GUARD,
        'if "origin" in headers or headers.get("host") not in self._hosts:',
        'if "origin" in headers:',
    ),
    Protection(
        "S34",
        "no answer of the local cloud may be read by a page",
        GUARD,
        "if not pair[0].lower().startswith(allowed)",
        "if pair or allowed",
    ),
    Protection(
        "S34",
        "GoTo's controls compare the key",
        CONTROL,
        "if not key or not hmac.compare_digest(shown.encode(), key.encode()):",
        "if not shown:",
    ),
    Protection(
        "S29",
        "a link that was revoked mails nobody",
        AUTHORIZE,
        "if found.series != tenant.link_series:",
        "if found.series > tenant.link_series:",
    ),
    Protection(
        "S29",
        "an intake link mails nobody",
        AUTHORIZE,
        "or found is None or found.kind is not LinkKind.CONNECT:",
        "or found is None:",
    ),
    Protection(
        "S14",
        "a mail that waited past a revocation brings no link",
        "chalicelib/notify/announcer.py",
        "if not later_kinds.isdisjoint(ENDS_LINKS):",
        "if not later_kinds.isdisjoint(()):",
    ),
    Protection(
        "S29",
        "a mailed link is of the moment in which its reader's address was read",
        "chalicelib/connect/invitations.py",
        "return self._link(kind, tenant, None)",
        "return self._link(kind, self.tenants.known(tenant.name), None)",
    ),
    Protection(
        "S30",
        "an admin's mail names who connected by an address only",
        "chalicelib/tokens/request_outcomes.py",
        "named = who if address_fault(who) is None else LINK_HOLDER",
        "named = who",
    ),
    Protection(
        "S29",
        "a fresh link is mailed once a day",
        "chalicelib/durations.py",
        "MAIL_PAUSE = DAY",
        "MAIL_PAUSE = 900",
    ),
    Protection(
        "S29",
        "what can be repeated is mailed a few times a day",
        "chalicelib/notify/email_templates.py",
        "most_a_day: int | None = 3",
        "most_a_day: int | None = None",
    ),
    Protection(
        "S29",
        "a link allows so many starts in a day",
        AUTHORIZE,
        "MOST_STARTS_A_DAY = 100",
        "MOST_STARTS_A_DAY = 5_000",
    ),
    Protection(
        "S29",
        "the journal takes so many endings in a day",
        REQUESTS,
        '"attribute_not_exists(#told) OR #told < :most"',
        '"attribute_not_exists(#told) OR #told <> :most"',
    ),
    Protection(
        "S29",
        "the history goes on beyond its newest entries",
        JOURNAL,
        "for _ in range(MOST_PAGES):",
        "for _ in range(0):",
    ),
    Protection(
        "S29",
        "what strangers repeat is passed over",
        JOURNAL,
        "self._page(tenant, PAGE, PASSED_OVER, after)",
        "self._page(tenant, PAGE, (), after)",
    ),
    Protection(
        "S29",
        "three lines are a stranger's",
        "chalicelib/journal_entries.py",
        "if is_repeatable and repeatable == MOST_REPEATABLE:",
        "if is_repeatable and repeatable == LINES:",
    ),
    Protection(
        "S18",
        "what a browser completed at a revoked link counts no more",
        AUTHORIZE,
        "if browser and browser.link_series != tenant.link_series:",
        "if browser.link_series > tenant.link_series:",
    ),
    Protection(
        "S18",
        "a changed address ends the former admin's links",
        "chalicelib/rep/onboarding.py",
        "ends_links=readdressed",
        "ends_links=False",
    ),
    Protection(
        "S18",
        "a history begins with its own customer",
        JOURNAL,
        "        if entry.kind in BEGINNINGS:\n            return",
        "        if entry.kind in BEGINNINGS:\n            continue",
    ),
    Protection(
        "S32",
        "a proof is bound to the whole command",
        CALLER,
        'for name, value in payload.items() if name != "proof"}',
        'for name, value in payload.items() if name == "command"}',
    ),
    Protection(
        "S32",
        "a proof is bound to the function",
        CALLER,
        "[function.region, function.name, nonce, command]",
        '[function.region, "ha-goto-prod-rep-command", nonce, command]',
    ),
    Protection(
        "S32",
        "a proof is of the function's own account",
        CALLER,
        " or found[1] != function.account:",
        ":",
    ),
    Protection(
        "S32",
        "a proof is good for a minute",
        CALLER,
        "if apart > CALLER_PROOF_LIFE:",
        "if apart > 6 * CALLER_PROOF_LIFE:",
    ),
    Protection(
        "S32",
        "a proof holds nothing but its members",
        CALLER,
        "if members.keys() != expected.keys():",
        "if not members.keys() >= expected.keys():",
    ),
    Protection("S32", "digits are ASCII", CALLER, "[0-9]{8}T[0-9]{6}Z", r"\d{8}T\d{6}Z"),
    Protection(
        "S32",
        "a proof serves once",
        "chalicelib/dynamodb/links.py",
        'unused = self.tables.links.put(row, when="attribute_not_exists(#link)")',
        "unused = self.tables.links.put(row)",
    ),
    Protection(
        "S32",
        "a command needs a proof unless it says otherwise",
        "chalicelib/rep/commands.py",
        "proof_required: bool = True",
        "proof_required: bool = False",
    ),
    Protection(
        "S32",
        "what cannot be undone needs a proof",
        "chalicelib/rep/commands.py",
        '"disconnect_all": Command(_disconnect_all)',
        '"disconnect_all": Command(_disconnect_all, proof_required=False)',
    ),
    Protection(
        "S32",
        "a name of the caller's own choice is told as such",
        CALLER,
        "who if _is_given(who, function) else _own_word(who)",
        "who",
    ),
    Protection(
        "S32",
        "a session is named after its user",
        REP_ACCESS,
        '!If [EnforcesNames, "${aws:username}", "*"]',
        '"*"',
    ),
    Protection(
        "S32",
        "nobody takes on a source identity",
        REP_ACCESS,
        '"Null": {aws:SourceIdentity: "false"}',
        '"Null": {aws:SourceIdentity: ["true", "false"]}',
    ),
    Protection(
        "S25",
        "a link alone replaces no connection without a pin",
        ACCOUNT_ROWS,
        'allowed += " AND attribute_exists(#pin_lifted)"',
        'allowed += ""',
    ),
    Protection(
        "S25",
        "a refresh pins an account that is not known",
        REFRESH,
        "self.accounts.owner_of(tokens) if readable else None",
        "None",
    ),
    Protection(
        "S25",
        "a refresh pins nothing over a pin, nor where it is lifted",
        ACCOUNT_ROWS,
        'when=f"{held_to} ({free} OR #pinned_account = :set_pinned_account)",',
        "when=EXISTS,",
    ),
    Protection(
        "S25",
        "a pin is not taken for whose the connection is",
        "chalicelib/models.py",
        "(read is None or read != self.pinned_account)",
        "self.pinned_account is None",
    ),
    Protection(
        "S25",
        "a connection of another account than the pinned one ends",
        RULE,
        "if pin is not None and pin not in owner.keys:",
        "if False and pin is not None:",
    ),
    Protection(
        "S27",
        "what GoTo granted is compared with what is needed",
        "chalicelib/tokens/commit.py",
        "lacking = missing(self.needed_scopes, new_tokens.scope)",
        "lacking = missing((), new_tokens.scope)",
    ),
    Protection(
        "S27",
        "never all scopes of a client, unless that is asked for",
        "chalicelib/config.py",
        'scope=env.get("GOTO_SCOPE", SCOPE_READ) or None',
        'scope=env.get("GOTO_SCOPE") or None',
    ),
    Protection(
        "S26",
        "a person without the pinned account is refused",
        RULE,
        "return Reason.OTHER_ACCOUNT if owner.keys else Reason.ACCOUNT_UNREADABLE",
        "return _only(owner)",
    ),
    Protection(
        "S26",
        "a person with several accounts chooses",
        RULE,
        "return Reason.ACCOUNT_TO_CHOOSE if len(owner.keys) > 1 else _only(owner)",
        "return owner._replace(account=owner.keys[0] if owner.keys else None)",
    ),
    Protection(
        "S26",
        "an account that is another tenant's is refused",
        RULE,
        "if self._other(found, account, tenant) is not None:",
        "if False:",
    ),
    Protection(
        "S22",
        "a tenant is not removed while its tokens wait for a choice",
        TENANTS,
        "AND (attribute_not_exists(#{CHOOSING}) OR #{CHOOSING} <= :none)",
        "AND NOT #{CHOOSING} < :none",
    ),
    Protection(
        "S22",
        "tokens wait for a choice only while their tenant can be counted on",
        ACCOUNT_ROWS,
        "self.tables.transact(offered, self.tables.grants.put(waiting), counted)",
        "self.tables.transact(offered, self.tables.grants.put(waiting))",
    ),
    Protection(
        "S22",
        "a tenant is not removed while the rescue queue holds tokens",
        "chalicelib/rep/disconnect_and_remove.py",
        "if self.rescue_queue.pending():",
        "if False:",
    ),
    Protection(
        "S26",
        "a choice at the last moment is not revoked",
        "chalicelib/tokens/choices.py",
        "if self.choices.waiting(due.tenant) is None:",
        "if False:",
    ),
    Protection(
        "S26",
        "whose first holder has left is still those tenants' that share it",
        RULE,
        "others = (name for name in found.names if name != tenant)",
        "others = (name for name in (found.holder,) if name != tenant)",
    ),
    Protection(
        "S26",
        "a tenant that left an account to others does not come back by its old claim",
        RULE,
        "if tenant in found.names and self._holds(tenant, account):",
        "if tenant in found.names:",
    ),
    Protection(
        "S26",
        "only an account that was listed can be chosen",
        "chalicelib/connect/authorize.py",
        "if request is None or account not in {each.key for each in request.accounts}:",
        "if request is None:",
    ),
    Protection(
        "S25",
        "tokens of an older authorization go at a restore",
        "chalicelib/dynamodb/setbacks.py",
        'remove=rows.OF_A_TOKEN if connection.generation < setting["generation"] else (),',
        "remove=(),",
    ),
    Protection(
        "S25",
        "a disconnection voids the links that are out",
        TENANTS,
        "self.tables.transact(links, tokens, grant, journal.row(self.tables.journal, entry))",
        "self.tables.transact(tokens, grant, journal.row(self.tables.journal, entry))",
    ),
    Protection(
        "S30",
        "old rescue messages are read as at the entrance",
        "chalicelib/tokens/rescue.py",
        'untrusted_text.principal(values.get("principal"))',
        'values.get("principal")',
    ),
    Protection(
        "S25",
        "no failure of the look-up loses tokens",
        ACCOUNTS,
        "except Exception as error:",
        "except ValueError as error:",
    ),
    Protection(
        "S25",
        "a pin that is lifted voids the links that are out",
        TENANTS,
        "self.change(name, lifted, entry, ends_links=True)",
        "self.change(name, lifted, entry)",
    ),
    Protection(
        "S25",
        "an import that names the account pins it",
        "chalicelib/rep/bulk_import.py",
        "pinned_account=line.account_key",
        "pinned_account=None",
    ),
    Protection(
        "S25",
        "the customer's page names no stranger who tried",
        AUTHORIZE,
        "entry.for_customer() for entry",
        "entry for entry",
    ),
    Protection(
        "S24",
        "white space makes it another cookie",
        WEB,
        'part.strip(" \\t").partition("=")',
        'part.strip().partition("=")',
    ),
    Protection(
        "S24",
        "a name given twice counts as not given",
        WEB,
        "for name, _, value in pairs if counts[name] == 1",
        "for name, _, value in reversed(pairs) if counts[name]",
    ),
    Protection(
        "S24",
        "a visitor's token given twice counts as not given",
        DOOR,
        "if len(tokens) > 1:",
        "if len(tokens) > 9:",
    ),
    Protection(
        "S24",
        "every line of a header is read",
        WEB,
        'return lines or [request.headers.get(wanted) or ""]',
        'return [request.headers.get(wanted) or ""]',
    ),
    Protection(
        "S02",
        "a browser that came back goes by another value",
        REQUESTS,
        '"browser": renewed}',
        '"browser": request.browser}',
    ),
    Protection(
        "S02",
        "the old value knows nothing any more",
        REQUESTS,
        "retired = {request.browser} | ({known.key} if known else set())",
        'retired = {"nobody"}',
    ),
    Protection(
        "S28",
        "a link opens at its own host",
        WEB,
        "return host is not None and host != urlsplit(settings.origin(tenant.name)).hostname",
        "return False",
    ),
    Protection(
        "S28",
        "a visitor's token counts at its tenant's own host",
        VISITOR_TOKENS,
        "if host != urlsplit(origin).hostname:",
        "if not urlsplit(origin).hostname:",
    ),
    Protection(
        "S28",
        "an identity goes before a link",
        DOOR,
        "if cookies.identity is not None:\n            return self._person",
        "if cookies.identity and not cookies.link:\n            return self._person",
    ),
    Protection(
        "S28",
        "a living link of another is not replaced unasked",
        AUTHORIZE,
        "return held if held.name != opened.name else None",
        "return None",
    ),
    Protection(
        "S28",
        "only our own button replaces it",
        VIEWS,
        "        self._check_form(link, tenant)\n        return self._opened(link)",
        "        return self._opened(link)",
    ),
    Protection(
        "S28",
        "forms go to the tenant's own host",
        PAGES,
        "return Form(settings.origin(tenant.name) + path, named)",
        "return Form(path, named)",
    ),
    Protection(
        "S28",
        "one host names whom it connects",
        PAGES,
        "named = whom(tenant) if settings.one_host else None",
        "named = None",
    ),
    Protection(
        "S29",
        "a fresh link is asked for on our own page",
        VIEWS,
        "        self._check_form(link, None)\n",
        "",
    ),
    Protection(
        "S29",
        "a form comes from an origin of ours",
        "chalicelib/config.py",
        "return re.fullmatch(re.escape(before) + label + re.escape(after), origin) is not None",
        "return origin.startswith(before)",
    ),
    Protection(
        "S21",
        "the pages' function writes no link's tenant",
        ROLES,
        "update: [link, start_window",
        "update: [link, tenant, start_window",
    ),
    Protection(
        "S21",
        "a reader forces one refresh a minute",
        ON_DEMAND,
        "if left > 0 and not grant.failures and",
        "if left > 99 and not grant.failures and",
    ),
    Protection(
        "S21",
        "requests on demand have a share of the rate",
        ON_DEMAND,
        "gap = int(1_000 * PART * self.slots / rate)",
        "gap = int(1_000 * self.slots / rate)",
    ),
    Protection(
        "S29",
        "a second contact who is taken out ends the links",
        ONBOARD,
        "readdressed = bool(set(ADDRESSES) & set(details))",
        "readdressed = any(details.get(each) for each in ADDRESSES)",
    ),
    Protection(
        "S21",
        "GoTo's answers are compared at the rep's word alone",
        "chalicelib/refresh/facts.py",
        "if not self.tickets.spend(tenant, ticket, int(self.clock())):",
        "if self.tickets.spend(tenant, ticket, int(self.clock())) is None:",
    ),
    Protection(
        "S21",
        "a ticket for a comparison is good once",
        LINK_ROWS,
        'remove=("ticket",),',
        'remove=("tickets",),',
    ),
    Protection(
        "S21",
        "a tenant's answers are compared once a minute",
        LINK_ROWS,
        'when="attribute_not_exists(#link) OR #asked_at <= :before",',
        'when="attribute_not_exists(#link) OR #asked_at >= :before OR #asked_at < :before",',
    ),
    Protection(
        "S21",
        "a comparison takes a slot for each of its requests",
        "chalicelib/bootstrap/on_demand.py",
        "limiter=_demand_limiter(deployment, REQUESTS),",
        "limiter=_demand_limiter(deployment),",
    ),
    Protection(
        "S33",
        "a reader compares the tenant of the item it got",
        READER_TABLE,
        "return found if found.tenant == tenant else _anothers(tenant)",
        "return found",
    ),
    Protection(
        "S33",
        "a batch with another tenant's item is not believed",
        READER_TABLE,
        "if not by_tenant.keys() | unprocessed <= set(asked):",
        "if False:",
    ),
    Protection(
        "S33",
        "a client handed in before a fork is refused",
        "reader/src/ha_goto_tokens/aws.py",
        "if self._given_in is not process():",
        "if False:",
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


def files_of(row: str) -> list[str]:
    """The test files that name a row: collecting all others takes longer than running its tests."""
    named = [ROOT / name for name in TESTS]
    files = [
        file for each in named for file in (each.rglob("test_*.py") if each.is_dir() else [each])
    ]
    return [
        str(file.relative_to(ROOT))
        for file in files
        if row.lower() in file.read_text("utf-8").lower() and file.name != "test_protections.py"
    ]


def failures(tree: Path, row: str, *options: str) -> list[str]:
    """Names of the tests of a row that fail in a tree.

    Raises `RuntimeError` when they could not be run at all: that would look like a kill.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", *options]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [*command, "-m", row.lower(), "-k", "not dynamodb-local", *files_of(row)],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode not in (0, 1) or "\nERROR " in ran.stdout:
        raise RuntimeError(f"the tests of {row} did not run:\n{ran.stdout[-2_000:]}")
    return sorted(set(re.findall(r"^FAILED \S+::(\w+)", ran.stdout, re.MULTILINE)))


def noticed_by(tree: Path, each: Protection) -> list[str]:
    """The first test of its row that fails without it, as a list of one; empty if none does."""
    file = tree / each.file
    whole = file.read_text("utf-8")
    file.write_text(whole.replace(each.stands, each.removed, 1), "utf-8")
    try:
        return failures(tree, each.row, "-x")
    finally:
        file.write_text(whole, "utf-8")


def judge(rows: Sequence[str]) -> int:
    """How many removals no test noticed, told one by one; a tree for each processor.

    Raises `RuntimeError` when a row's tests fail before anything is removed.
    """
    chosen = [each for each in PROTECTIONS if each.row in rows]
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(max_workers=os.cpu_count()) as workers,
    ):
        trees: Queue[Path] = Queue()
        for number in range(os.cpu_count() or 1):
            tree = Path(folder, str(number))
            tree.mkdir()
            copy(tree)
            trees.put(tree)

        def in_a_tree(look: Callable[[Path], list[str]]) -> list[str]:
            tree = trees.get()
            try:
                return look(tree)
            finally:
                trees.put(tree)

        before = [
            workers.submit(in_a_tree, partial(failures, row=row)) for row in sorted(set(rows))
        ]
        if broken := [name for future in before for name in future.result()]:
            raise RuntimeError(f"these fail before anything is removed: {', '.join(broken)}")
        removed = [workers.submit(in_a_tree, partial(noticed_by, each=each)) for each in chosen]
        missed = 0
        for each, future in zip(chosen, removed, strict=True):
            found = future.result()
            missed += not found
            print(f"{each.row}  {each.what}: {', '.join(found) or 'MISSED'}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} removals were noticed")
    return missed


def main() -> int:
    """Remove each in turn; 1 when one is missed by the tests of its row."""
    every = sorted({each.row for each in PROTECTIONS})
    parser = argparse.ArgumentParser(prog="python -m tests.security.protections")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="such as S07; all if none is named")
    rows = [row.upper() for row in parser.parse_args().rows] or every
    if unknown := set(rows) - set(every):
        parser.error(f"no protection of {', '.join(sorted(unknown))} is listed here")
    try:
        return 1 if judge(rows) else 0
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
