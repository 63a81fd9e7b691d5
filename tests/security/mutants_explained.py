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
RESCUE = "chalicelib/tokens/rescue.py"

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
    Explained(RESCUE, "_raw", '"ascii"', '"ASCII"', "Python knows the encoding by either name."),
)
