"""Resolves a template's intrinsic functions with given parameters, to show what IAM would see."""

import re
from collections.abc import Mapping
from typing import Any

ACCOUNT, REGION, STACK = "111111111111", "us-east-1", "product"

_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": STACK,
}
_NO_VALUE = object()

_HERE = f"{REGION}:{ACCOUNT}"

_ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{_HERE}:table/{STACK}-{{}}",
    "AWS::Events::EventBus": f"arn:aws:events:{_HERE}:event-bus/{STACK}-{{}}",
    "AWS::IAM::ManagedPolicy": f"arn:aws:iam::{ACCOUNT}:policy/{STACK}-{{}}",
    "AWS::KMS::Key": f"arn:aws:kms:{_HERE}:key/{{}}",
    "AWS::SNS::Topic": f"arn:aws:sns:{_HERE}:{STACK}-{{}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{_HERE}:{STACK}-{{}}",
    "AWS::Serverless::Function": f"arn:aws:lambda:{_HERE}:function:{STACK}-{{}}",
}

_REF_IS_ARN = ("AWS::IAM::ManagedPolicy", "AWS::SNS::Topic")


def made_of(resources: Mapping[str, Any]) -> dict[str, str]:
    """What Ref and GetAtt would return for a stack's resources."""
    made = {}
    for name, resource in resources.items():
        kind = resource.get("Type", "")
        arn = _ARNS.get(kind, "").format(name)
        made[name] = arn if kind in _REF_IS_ARN else f"{STACK}-{name}"
        if arn:
            made |= {f"{name}.Arn": arn, f"{name}.StreamArn": f"{arn}/stream/2026-11-24"}
    return made


class Resolver:
    def __init__(self, template: Mapping[str, Any], made: Mapping[str, str], **given: Any) -> None:
        """``made``: values of `Logical` (Ref) and `Logical.Attribute` (GetAtt); ``given``: the
        stack's parameters. Raises `ValueError` if one is unknown or does not match its pattern."""
        self._made = made
        self._conditions = template.get("Conditions", {})
        declared = template.get("Parameters", {})
        if unknown := set(given) - set(declared):
            raise ValueError(f"No such parameter: {', '.join(sorted(unknown))}.")
        self._parameters = {}
        for name, parameter in declared.items():
            value = given.get(name, parameter.get("Default"))
            pattern = parameter.get("AllowedPattern")
            if pattern and value is not None and not re.fullmatch(pattern, value):
                raise ValueError(f"{name} is not as its pattern says.")
            is_list = parameter["Type"] == "CommaDelimitedList"
            self._parameters[name] = value.split(",") if is_list else value

    def resolve(self, value: Any) -> Any:
        """The value as CloudFormation would pass it on, without parts that are AWS::NoValue."""
        if isinstance(value, list):
            return [one for part in value if (one := self.resolve(part)) is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Ref":
                return self._ref(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        resolved = {name: self.resolve(part) for name, part in value.items()}
        return {name: part for name, part in resolved.items() if part is not _NO_VALUE}

    def holds(self, name: str) -> bool:
        """Whether one of the template's conditions is true."""
        return self._test(self._conditions[name])

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        for values in (_PSEUDO, self._parameters, self._made):
            if name in values:
                return values[name]
        raise KeyError(name)

    def _function(self, name: str, argument: Any) -> Any:
        match name:
            case "Fn::If":
                condition, yes, no = argument
                return self.resolve(yes if self.holds(condition) else no)
            case "Fn::GetAtt":
                return self._made[".".join(argument)]
            case "Fn::Join":
                separator, parts = self.resolve(argument)
                return separator.join(parts)
            case "Fn::Split":
                separator, text = self.resolve(argument)
                return text.split(separator)
            case "Fn::Select":
                index, values = self.resolve(argument)
                return values[int(index)]
            case "Fn::Sub":
                text, own = argument if isinstance(argument, list) else (argument, {})
                variables = self.resolve(own)
                return re.sub(
                    r"\$\{([^}]+)\}", lambda found: self._substitute(found[1], variables), text
                )
        raise NotImplementedError(name)

    def _substitute(self, name: str, known: Mapping[str, str]) -> str:
        if name in known:
            return known[name]
        return str(self._made[name] if "." in name else self._ref(name))

    def _test(self, condition: Any) -> bool:
        [(name, argument)] = condition.items()
        match name:
            case "Condition":
                return self.holds(argument)
            case "Fn::Equals":
                one, other = self.resolve(argument)
                return bool(one == other)
            case "Fn::Not":
                return not self._test(argument[0])
            case "Fn::And":
                return all(map(self._test, argument))
            case "Fn::Or":
                return any(map(self._test, argument))
        raise NotImplementedError(name)
