"""What `make check` gives its linter of policies: every one, and no failure passes for silence."""

from pathlib import Path

import pytest

from infra import cloudformation, package
from sandbox import policies

HOLDERS = {
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
"""Types of resources that are nothing without a policy."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(policies, "FOLDER", tmp_path / "policies")
    return tmp_path / "policies"


def linter(folder: Path, answer: str) -> Path:
    """Stands in for parliament's program."""
    program = folder / "parliament"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o700)
    return program


def test_s21_every_resource_that_holds_a_policy_is_looked_at(folder: Path) -> None:
    """S21: of the packaged template and of the stacks beside it."""
    built = package.build()
    count = policies.write(built)
    files = {file.name for file in folder.iterdir()}
    assert len(files) == count
    for template in (built.template, *policies.BESIDE):
        resources = cloudformation.load(template.read_text())["Resources"]
        wanted = {name for name, made in resources.items() if made["Type"] in HOLDERS}
        assert wanted
        for name in wanted:
            assert any(file.startswith(f"{template.stem}-{name}-") for file in files)


def test_a_linter_that_fails_is_no_clean_bill(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is one that no longer finds what has been accepted."""
    built = package.build()
    with pytest.raises(RuntimeError, match="no such policy"):
        policies.clean(linter(tmp_path, "echo no such policy >&2; exit 1"), built)
    assert not policies.clean(linter(tmp_path, "exit 0"), built)
    assert "is accepted and not found any more" in capsys.readouterr().out


def test_a_finding_is_told_and_fails(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = '{"issue": "UNKNOWN_ACTION", "title": "", "detail": "x", "location": {"filepath": "a"}}'
    assert not policies.clean(linter(tmp_path, f"echo '{found}'; exit 1"), package.build())
    assert "a: UNKNOWN_ACTION: x" in capsys.readouterr().out
