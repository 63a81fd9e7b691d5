"""EventBridge's rules that invoke a function, and whether they are enabled."""

from typing import Any


def rules(functions: Any, events: Any, function: str) -> dict[str, bool]:
    """The rules that invoke a function, and whether each is enabled. Raises botocore's errors."""
    found = functions.get_function(FunctionName=function)
    address = found["Configuration"]["FunctionArn"]
    names = events.list_rule_names_by_target(TargetArn=address)["RuleNames"]
    return {name: events.describe_rule(Name=name)["State"] != "DISABLED" for name in names}


def enabled(functions: Any, events: Any, function: str) -> bool:
    """Whether any of the function's rules is enabled, or it has none."""
    found = rules(functions, events, function)
    return not found or any(found.values())
