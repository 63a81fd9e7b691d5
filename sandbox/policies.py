"""Checks every deployed IAM policy, as IAM would see it, with parliament.

It finds statements anywhere in a template: of roles, keys, topics and queues, including the other
stacks besides the product's.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra import cloudformation
from infra.cfn_intrinsics import ACCOUNT, REGION, Resolver, made_of
from infra.package import Package
from sandbox.environment import ROOT, STATE, private_folder

FOLDER = STATE / "policies"

BESIDE = tuple(
    ROOT / "infra" / f"{name}.yaml" for name in ("deployer-access", "reader-access", "rep-access")
)
"""Templates of the other stacks with policies, besides the product's."""

ACCEPTED = {
    # Parliament takes an encryption context's parts for strings. CloudWatch Logs puts an ARN there,
    # and its manual compares it as an ARN.
    ("MISMATCHED_TYPE", "sam-OperationsKey-KeyPolicy.json"),
    # IAM controls the key of logs and alarms, by KMS's default statement, which names all of KMS.
    ("RESOURCE_MISMATCH", "sam-OperationsKey-KeyPolicy.json"),
    # A transform belongs to AWS: its ARN has *aws* as the account.
    ("INVALID_ARN", "deployer-access-DeployPolicy-PolicyDocument.json"),
    # Newer than parliament's list: `lambda:GetFunctionScalingConfig`.
    ("UNKNOWN_ACTION", "deployer-access-DeployDataAndCodePolicy-PolicyDocument.json"),
    # AWS shows composite alarms only to a caller that may see all alarms.
    ("RESOURCE_STAR", "deployer-access-DeploySurroundingsPolicy-PolicyDocument.json"),
    ("RESOURCE_STAR", "deployer-access-OperatePolicy-PolicyDocument.json"),
    # `kms:ResourceAliases`, which parliament does not know.
    ("UNKNOWN_CONDITION_FOR_ACTION", "deployer-access-OperatePolicy-PolicyDocument.json"),
}
"""Accepted findings, by kind and file, each with the reason. Parliament 1.6.4's own file for them
has no effect: it does not read file names as a list."""

_HERE = f"{REGION}:{ACCOUNT}"
_SOMEBODY = f"arn:aws:iam::{ACCOUNT}:role/somebody"

_GIVEN = {
    "sam": {
        "Stage": "main",
        "TenantOrigin": "https://x.example",
        "MailFrom": "a@b.example",
        "KeyOperators": _SOMEBODY,
        "VisitorIdentity": "required",
        "VisitorKey": "visitor-key",
    },
    "deployer-access": {"Stage": "main", "HostedZoneId": "Z0123456789"},
    "reader-access": {
        "TokensTableArn": f"arn:aws:dynamodb:{_HERE}:table/product-Tokens",
        "TokensKeyArn": f"arn:aws:kms:{_HERE}:key/TokensKey",
        "RefreshNowArn": f"arn:aws:lambda:{_HERE}:function:product-RefreshNow",
        "Tenant": "acme",
        "ReaderPrincipals": _SOMEBODY,
        "ExternalId": "ours",
        "Stage": "main",
    },
    "rep-access": {
        "RepCommandArn": f"arn:aws:lambda:{_HERE}:function:ha-goto-main-rep-command",
        "RepPrincipals": _SOMEBODY,
    },
}
"""Parameters with which a template has all its statements."""


def clean(parliament: Path, built: Package) -> bool:
    """Whether parliament's findings are exactly the accepted ones."""
    print("\nparliament --directory", FOLDER, flush=True)
    count = write(built)
    found = _findings(parliament)
    for finding in found:
        file = Path(finding["location"]["filepath"]).name
        if (finding["issue"], file) not in ACCEPTED:
            print(f"{file}: {finding['issue']}: {finding['detail'] or finding['title']}")
    kinds = {(one["issue"], Path(one["location"]["filepath"]).name) for one in found}
    for issue, file in sorted(ACCEPTED - kinds):
        print(f"{file}: {issue} is accepted and not found any more: take it out.")
    print(f"{count} policies, {len(kinds - ACCEPTED)} findings, {len(ACCEPTED)} accepted")
    return count > 0 and kinds == ACCEPTED


def _findings(parliament: Path) -> list[dict[str, Any]]:
    """Raises `RuntimeError` if parliament itself failed: no findings would look clean."""
    command = [str(parliament), "--json", "--directory", str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != bool(found):
        raise RuntimeError(f"parliament failed: {done.stderr.strip()[-500:]}")
    return found


def write(built: Package) -> int:
    """Write each policy to a file named for its stack, resource and property; returns how many."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    private_folder(FOLDER)
    count = 0
    for template in (built.template, *BESIDE):
        for name, document in _policies(template):
            (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=1))
            count += 1
    return count


def _policies(file: Path) -> Iterator[tuple[str, Any]]:
    template = cloudformation.load(file.read_text())
    made = made_of(template["Resources"])
    resolver = Resolver(template, made, **_GIVEN[file.stem])
    for name, resource in template["Resources"].items():
        for where, document in _documents(resource.get("Properties", {})):
            resolved = resolver.resolve(document)
            for statement in resolved["Statement"]:
                _speak_plainly(statement, where, name)
            yield f"{file.stem}-{name}-{where}", resolved


def _speak_plainly(statement: dict[str, Any], where: str, name: str) -> None:
    """Name the resource that parliament does not infer: a trust policy is about its role, and `*`
    in a key policy means that key, with its aliases where they are created."""
    if where == "AssumeRolePolicyDocument":
        statement["Resource"] = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    elif where == "KeyPolicy" and statement["Resource"] == "*":
        statement["Resource"] = [
            f"arn:aws:kms:{_HERE}:key/{name}",
            f"arn:aws:kms:{_HERE}:alias/{name}",
        ]


def _documents(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        # A firewall rule has a statement too, but it has no `Effect`.
        if isinstance(value.get("Statement"), list) or "Effect" in value.get("Statement", {}):
            yield where.strip("."), value
            return
        for name, part in value.items():
            yield from _documents(part, f"{where}.{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _documents(part, f"{where}.{number}")
