"""Mutants that no test can or should notice, each with the reason.

`make mutants` fails where one of them is noticed by a test, or does not exist.
"""

from dataclasses import dataclass

from tests.security.mutant_runs import Mutant


@dataclass(frozen=True)
class Explained:
    """``was`` becomes ``becomes`` once in the lines that the mutant changes."""

    file: str
    function: str
    was: str
    becomes: str
    why: str

    def is_of(self, mutant: Mutant) -> bool:
        """Whether it is this mutant, or one of several that read the same."""
        if (self.file, self.function) != (mutant.file, mutant.function):
            return False
        return self.was in mutant.was and mutant.becomes in (
            mutant.was.replace(self.was, self.becomes, 1),
            self.becomes.join(mutant.was.rsplit(self.was, 1)),
        )


AUTHORIZE = "chalicelib/connect/authorize.py"
COMMIT = "chalicelib/tokens/commit.py"
COMPLETE = "chalicelib/connect/complete.py"
CONNECTIONS = "chalicelib/dynamodb/connections.py"
OAUTH = "chalicelib/goto/oauth.py"
OPAQUE = "chalicelib/opaque.py"
REFRESHER = "chalicelib/refresh/refresher.py"
RESCUE = "chalicelib/tokens/rescue.py"

ENCODING = "Python knows the encoding by either name."
DEFAULT = "32 bytes are Python's default as well; the length is tested."
CAUGHT_HERE = "The name is for `Conflict`, which is caught where it is raised."
HAS_COOKIE = "Nobody comes so far without the browser's cookie."
NO_X = "The last letter of 32 bytes in base64 is never an X."

EXPLAINED: tuple[Explained, ...] = (
    Explained(
        AUTHORIZE,
        "AdminVisit.settings_page",
        'cookies.browser or ""',
        'cookies.browser or "XXXX"',
        "No form is taken from a browser without its cookie, whatever value it carries.",
    ),
    *(
        Explained(
            AUTHORIZE,
            f"AdminVisit.{function}",
            'cookies.browser or ""',
            'cookies.browser or "XXXX"',
            HAS_COOKIE,
        )
        for function in ("start", "callback", "_consume", "_browser")
    ),
    Explained(
        COMMIT,
        "Commits._commit",
        "if owner else None",
        "if (owner) or True else None",
        "It costs a read: of a tenant nothing is looked at where the owner is not known.",
    ),
    Explained(
        COMMIT,
        "Commits._commit",
        "claim = NO_CLAIM",
        "claim = None",
        "Without an owner nothing is claimed; with one the claim is another.",
    ),
    Explained(
        COMMIT,
        "keep",
        "failed = error",
        "failed = None",
        "The queue is asked before it ends without either, and its error is the one raised.",
    ),
    Explained(
        COMPLETE,
        "Completion._connect",
        'request.code or ""',
        'request.code or "XXXX"',
        "A request that could be claimed has its code.",
    ),
    Explained(
        COMPLETE,
        "Completion.run",
        "chosen = None",
        'chosen = ""',
        "Either is nothing.",
    ),
    *(
        Explained(CONNECTIONS, "Connections.claim", '"grants"', becomes, CAUGHT_HERE)
        for becomes in ("None", '"XXgrantsXX"', '"GRANTS"')
    ),
    Explained(
        CONNECTIONS,
        "Connections.commit_refresh",
        "over or 0",
        "over or 1",
        "A version is 1 at least.",
    ),
    Explained(OPAQUE, "new_value", "32", "None", DEFAULT),
    Explained(OPAQUE, "next_browser", '"ascii"', '"ASCII"', ENCODING),
    Explained(OPAQUE, "next_browser", 'b"="', 'b"XX=XX"', NO_X),
    Explained(OAUTH, "new_verifier", "32", "None", DEFAULT),
    Explained(OAUTH, "code_challenge", '"ascii"', '"ASCII"', ENCODING),
    Explained(OAUTH, "code_challenge", 'b"="', 'b"XX=XX"', NO_X),
    Explained(OAUTH, "basic_authorization", '"ascii"', '"ASCII"', ENCODING),
    Explained(
        REFRESHER,
        "Refresher._work_on",
        "FailureClass.INTERNAL",
        "None",
        "Of a failure that is put off its words alone are written.",
    ),
    Explained(
        REFRESHER,
        "Refresher._ask",
        "client_in(tenant,",
        "client_in(None,",
        "It costs a look for the newest secret of that client, which is the same.",
    ),
    Explained(
        REFRESHER,
        "Refresher._ask_as",
        'grant.refresh_token or ""',
        'grant.refresh_token or "XXXX"',
        "A grant that is refreshed has its token.",
    ),
    Explained(
        REFRESHER,
        "Refresher._failed",
        "refused and attempt.unknown",
        "refused or attempt.unknown",
        "It costs a look into the queue: what may come counts after a refusal alone.",
    ),
    Explained(
        REFRESHER,
        "Refresher._fleet",
        "open_since=0",
        "open_since=1",
        "Since when it is so is not asked for.",
    ),
    Explained(
        REFRESHER,
        "Refresher._tell_at_once",
        "rate_limited=False",
        "rate_limited=None",
        "Either is false.",
    ),
    Explained(RESCUE, "_raw", '"ascii"', '"ASCII"', ENCODING),
)
