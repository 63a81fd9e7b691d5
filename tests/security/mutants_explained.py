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


COMMIT = "chalicelib/tokens/commit.py"
COMPLETE = "chalicelib/connect/complete.py"
CONNECTIONS = "chalicelib/dynamodb/connections.py"
OAUTH = "chalicelib/goto/oauth.py"
OPAQUE = "chalicelib/opaque.py"
RESCUE = "chalicelib/tokens/rescue.py"

ENCODING = "Python knows the encoding by either name."
DEFAULT = "32 bytes are Python's default as well; the length is tested."
CAUGHT_HERE = "The name is for `Conflict`, which is caught where it is raised."
NO_X = "The last letter of 32 bytes in base64 is never an X."

EXPLAINED: tuple[Explained, ...] = (
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
        COMPLETE,
        "Completion._connect",
        'request.code or ""',
        'request.code or "XXXX"',
        "A request that could be claimed has its code.",
    ),
    *(
        Explained(CONNECTIONS, "Connections.claim", '"grants"', becomes, CAUGHT_HERE)
        for becomes in ("None", '"XXgrantsXX"', '"GRANTS"')
    ),
    Explained(OPAQUE, "new_value", "32", "None", DEFAULT),
    Explained(OPAQUE, "next_browser", '"ascii"', '"ASCII"', ENCODING),
    Explained(OPAQUE, "next_browser", 'b"="', 'b"XX=XX"', NO_X),
    Explained(OAUTH, "new_verifier", "32", "None", DEFAULT),
    Explained(OAUTH, "code_challenge", '"ascii"', '"ASCII"', ENCODING),
    Explained(OAUTH, "code_challenge", 'b"="', 'b"XX=XX"', NO_X),
    Explained(OAUTH, "basic_authorization", '"ascii"', '"ASCII"', ENCODING),
    Explained(RESCUE, "_raw", '"ascii"', '"ASCII"', ENCODING),
)
