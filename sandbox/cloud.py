"""The whole local cloud: MiniStack with the product's stack, the sandbox's GoTo, and the edge.

`make run` and the end-to-end tests both use this class, each with its own state folder.
"""

import json
import ssl
import sys
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from chalicelib.config import VisitorIdentity
from cli.proof import prove
from infra import package
from infra.parameters import declared
from sandbox.edge import Edge, Log
from sandbox.environment import ROOT, private_folder
from sandbox.keys import VARIABLE, Key
from sandbox.login import Login
from sandbox.mailbox import Mailbox
from sandbox.ministack import REGION, UNKNOWN_HERE, MiniStack
from sandbox.processes import Child, Failed, Started, require_free
from sandbox.settings import Client, Provider, Settings

MAIL_FROM = "no-reply@hireanalytix.example"
REP_MAIL = "reps@hireanalytix.example"
SUPPORT_EMAIL = "support@hireanalytix.example"
_ACCESS_TOKEN_SECONDS = 180
"""Life of an access token at the sandbox's GoTo: short, so that you soon see a refresh."""
_VISITOR_KEY = "visitor-key"
_TABLES = ("tokens", "tenants", "links", "authorization_requests", "grants", "journal")
_FUNCTIONS = ("web", "complete", "refresh_tick", "rep_command", "announce", "rescue", "refresh_now")

Step = Callable[[str], AbstractContextManager[None]]


class LocalCloud:
    """Everything that one run starts: `start` brings it up, `stop` ends it cleanly."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        log: Log = lambda _line: None,
        built: package.Package | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Starts nothing yet. State goes to `folder`; `log` gets a line for each request at the
        edge. ``built``: the package to deploy, by default that of the current sources; ``tls``: for
        an edge with https."""
        self.settings = settings
        self.folder = private_folder(folder)
        self.key = Key.of(self.folder)
        self.tables: dict[str, str] = {}
        self.functions: dict[str, str] = {}
        self._log = log
        self._built = built
        self._tls = tls
        self._scheme = "https" if tls else "http"
        self._ministack: MiniStack | None = None
        self._goto: Child | None = None
        self._edge: Edge | None = None
        self._started: Started | None = None
        self.mailbox = Mailbox(self._mails)
        goto = self.goto_url
        self.provider = settings.provider or Provider(
            f"{goto}/oauth/authorize", f"{goto}/oauth/token", f"{goto}/oauth/revoke", goto
        )

    @property
    def aws(self) -> MiniStack:
        assert self._ministack is not None, "start() comes first"
        return self._ministack

    @property
    def goto_url(self) -> str:
        """Address of the sandbox's GoTo."""
        return f"http://127.0.0.1:{self.settings.ports.goto}"

    def origin(self, tenant: str) -> str:
        """Address under which a tenant's admin sees the product."""
        return f"{self._scheme}://{tenant}.localhost:{self.settings.ports.edge}"

    @property
    def endpoints(self) -> dict[str, Any]:
        """Addresses, keys and names of everything, for other programs."""
        return {
            "edge": f"{self._scheme}://localhost:{self.settings.ports.edge}",
            "aws": {
                "endpoint": self.aws.endpoint,
                "region": REGION,
                "access_key": self.key.access_key,
                "secret_key": self.key.secret_key,
            },
            "goto": {
                "authorize": self.provider.authorize_url,
                "token": self.provider.token_url,
                "revoke": self.provider.revoke_url,
                "api": self.provider.api_url,
            },
            "tables": self.tables,
            "functions": self.functions,
        }

    def start(self, step: Step = lambda _title: nullcontext()) -> None:
        """Start and deploy everything; raises `Failed` or `OSError`, with nothing left running."""
        try:
            self._start(step)
        except BaseException:
            self.stop()
            raise

    def _start(self, step: Step) -> None:
        ports = self.settings.ports
        self._started = Started(self.folder / "processes")
        for port in (ports.edge, ports.aws, *([] if self.settings.provider else [ports.goto])):
            require_free(port)
        if self.settings.provider is None:
            self._start_goto()  # it starts up during the next steps
        with step("Package of the product"):
            built = self._built or package.build()
        with step("Local cloud"):
            self._ministack = MiniStack(self.folder, ports.aws, self._started.note)
        if self._goto:
            with step("GoTo to practise on"):
                self._goto.wait_ready(f"{self.goto_url}/oauth/jwks.json")
        with step("Deployment"):
            outputs = self.deploy(built)
            self.aws.verify_sender(MAIL_FROM)
        upstream = ("127.0.0.1", ports.aws)
        self.aws.publish_reader(self.tables["tokens"], outputs["RefreshNowFunction"])
        self._edge = Edge(
            ports.edge,
            upstream,
            _prefix(outputs),
            self._log,
            self.key.header,
            self.mailbox,
            self._login(),
            self._tls,
        )

    def _login(self) -> Login | None:
        if self.settings.visitor_identity is VisitorIdentity.OFF:
            return None
        return Login(self.aws.shared_key(_VISITOR_KEY), self.origin)

    def deploy(self, built: package.Package) -> dict[str, str]:
        """Deploy a package, or replace the one that runs; returns the stack's outputs.

        If an API's description has changed, the local cloud gives it a new id; AWS keeps the id.
        """
        names = declared(built.template)
        values = {name: value for name, value in self._parameters().items() if name in names}
        outputs = self.aws.deploy(built, values)
        self.tables = {name: outputs[f"{_camel(name)}Table"] for name in _TABLES}
        self.functions = {name: outputs[f"{_camel(name)}Function"] for name in _FUNCTIONS}
        if self._edge:
            self._edge.prefix = _prefix(outputs)
        return outputs

    def _start_goto(self) -> None:
        options = {
            "--port": str(self.settings.ports.goto),
            "--state": str(self.folder / "goto.json"),
            "--access-token-lifetime": str(_ACCESS_TOKEN_SECONDS),
        }
        words = [word for pair in options.items() for word in pair]
        command = [sys.executable, "-m", "sandbox.goto", *words]
        log = self.folder / "goto.log"
        environment = {"PYTHONPATH": str(ROOT), VARIABLE: self.key.secret_key}
        self._goto = Child("GoTo", command, log, environment)
        assert self._started is not None
        self._started.note(self._goto)

    def _parameters(self) -> dict[str, str]:
        settings, provider = self.settings, self.provider
        parameters = {
            "Stage": package.STAGE,
            "TenantOrigin": self.origin("{tenant}"),
            "GoToAuthorizeUrl": provider.authorize_url,
            "GoToTokenUrl": provider.token_url,
            "GoToRevokeUrl": provider.revoke_url,
            "GoToApiUrl": provider.api_url,
            "GoToAdminUrl": provider.api_url,
            "GoToIssuer": settings.issuer,
            "GoToClientAuth": settings.client_auth,
            "NeededScopes": self.settings.needed_scopes,
            "GoToScope": settings.scope,
            "MailFrom": MAIL_FROM,
            "RepMail": REP_MAIL,
            "SupportEmail": SUPPORT_EMAIL,
            "VisitorIdentity": settings.visitor_identity,
            **UNKNOWN_HERE,
        }
        if settings.login_origins is not None:
            parameters["GoToLoginOrigins"] = settings.login_origins
        if settings.visitor_identity is not VisitorIdentity.OFF:
            parameters["VisitorKey"] = _VISITOR_KEY
        return parameters

    def _mails(self) -> list[dict[str, Any]]:
        return self.aws.mails()

    def stop(self) -> None:
        """Stop everything that was started; the local cloud writes its state now."""
        if self._edge:
            self._edge.close()
        if self._ministack:
            self._ministack.stop()
        if self._goto:
            self._goto.stop()
        if self._started:
            self._started.close()
        self._edge = self._ministack = self._goto = self._started = None

    @property
    def running(self) -> bool:
        """Whether any part of it is running."""
        return any((self._edge, self._ministack, self._goto))

    def require_running(self) -> None:
        """Raise `Failed` if a part ended by itself."""
        for part in (self.aws.process, self._goto):
            if part is not None and not part.running:
                raise Failed(f"{part.name} ended by itself: see {part.log}")

    def rep(self, command: str, **arguments: str) -> dict[str, Any]:
        """Send a rep's command; returns the answer of `rep_command`. Proves who calls, like the
        rep's program: the local STS checks no signature, but returns a name."""
        asked, function = {"command": command, **arguments}, self.functions["rep_command"]
        proof = prove(self.aws.credentials, self.aws.endpoint, REGION, function, asked)
        answer: dict[str, Any] = self.aws.invoke(function, {**asked, "proof": proof})
        return answer

    def register(self, client: Client, tenant: str) -> None:
        """Create the tenant's client at the sandbox's GoTo, with every box checked."""
        uri = f"{self.origin(tenant)}/admin/settings/activities/"
        body = {
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "redirect_uris": [uri],
            "name": "hireanalytiX",
        }
        self.control("clients", body)

    def control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call a control route of the sandbox's GoTo; returns its answer."""
        request = urllib.request.Request(
            f"{self.goto_url}/sandbox/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", **self.key.header},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _prefix(outputs: dict[str, str]) -> str:
    return f"/_aws/execute-api/{outputs['ApiId']}/{outputs['ApiStage']}"
