"""Tenants, and the GoTo account that each belongs to."""

from typing import Annotated, Any

import typer

from cli import output
from cli.service import WRONG, Service, Stopped
from cli.typer_app import MAIN, Json, Name, Stage, Yes, confirm, groups, listed, tell

Account = Annotated[
    str,
    typer.Option(help="The GoTo account's key, such as 4000000001; tenant show lists those tried."),
]

STATES = (
    "awaiting_credentials",
    "awaiting_authorization",
    "degraded",
    "reauthorization_required",
    "credentials_rejected",
    "disconnected",
    "account_not_known",
    "not_usable",
)
"""Values of `--state` that this version knows; the service decides."""


@groups["tenant"].command("add")
def tenant_add(
    name: Name,
    admin_email: Annotated[
        str, typer.Option(help="The customer's GoTo admin, who gets the form and the link.")
    ],
    display_name: Annotated[
        str, typer.Option(help="What the customer is called; NAME if left out.")
    ] = "",
    *,
    also_email: Annotated[str | None, typer.Option(help="A second contact for reminders.")] = None,
    account_key: Annotated[
        str | None,
        typer.Option(help="The key of their GoTo account, if you know it: no other can connect."),
    ] = None,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Add a tenant; prints the redirect URI and what to do next.

    NAME becomes part of the address of the customer's page and can't be changed. The customer
    enters the redirect URI in their GoTo client; the form (intake send) shows it to them.
    """
    entered = {"account_key": account_key, "also_email": also_email}
    optional = {field: value for field, value in entered.items() if value}
    answer = Service(stage).ask(
        "tenant_add",
        tenant=name,
        admin_email=admin_email,
        display_name=display_name or name,
        **optional,
    )
    tell(
        answer,
        as_json,
        f"Added {name}. Its redirect URI, byte for byte:",
        f"  {answer['redirect_uri']}",
        f"Next: ha-goto intake send {name}",
        "It emails the admin a form that explains how to create the client at GoTo.",
    )


@groups["tenant"].command("list")
def tenant_list(
    state: Annotated[
        str | None,
        typer.Option(
            help=f"Only tenants in this state: {', '.join(STATES)}.",
            autocompletion=lambda: list(STATES),
        ),
    ] = None,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """List tenants, all or those in one state that someone must look at."""
    _show(listed(Service(stage), "tenant_list", state=state), as_json)


@groups["tenant"].command("find")
def tenant_find(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", help="Part of a name, email, client ID or reference number."
        ),
    ],
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Find tenants by a part of what you know: name, email address, client ID, reference number."""
    _show(listed(Service(stage), "tenant_find", text=text), as_json)


def _show(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        output.as_json({"tenants": rows})
    else:
        output.tenants(rows)


@groups["tenant"].command("show")
def tenant_show(
    name: Name,
    whole: Annotated[bool, typer.Option("--all", help="Show the whole history.")] = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Show one tenant: its state, what to do next, why, and what has happened."""
    answer = Service(stage).ask("tenant_show", tenant=name)
    if as_json:
        output.as_json(answer)
    else:
        output.tenant(answer, whole=whole)


@groups["tenant"].command("change")
def tenant_change(
    name: Name,
    admin_email: Annotated[str | None, typer.Option(help="The admin's new email address.")] = None,
    display_name: Annotated[str | None, typer.Option(help="What the customer is called.")] = None,
    *,
    also_email: Annotated[str | None, typer.Option(help="A second contact for reminders.")] = None,
    no_also_email: Annotated[
        bool, typer.Option("--no-also-email", help="The second contact gets no more emails.")
    ] = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Change what was said of a customer when the tenant was added.

    Another address revokes all links and forms; a connection keeps working. Then: link send NAME,
    or intake send NAME if the client ID and secret are still missing.
    """
    if also_email and no_also_email:
        raise Stopped(WRONG, "Give --also-email or --no-also-email, not both.")
    also = {"also_email": also_email or ""} if also_email or no_also_email else {}
    answer = Service(stage).ask(
        "tenant_change", tenant=name, admin_email=admin_email, display_name=display_name, **also
    )
    sentences = [f"{name}: {answer['display_name']}, {answer['admin_email']}."]
    if answer["links_revoked"]:
        sentences.append(f"Its links so far no longer work. Next: ha-goto link send {name}")
    tell(answer, as_json, *sentences)


@groups["tenant"].command("remove")
def tenant_remove(name: Name, yes: Yes = False, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Disconnect a tenant and remove it. Can't be undone. Keeps its history."""
    confirm(f"Disconnect {name} for good and remove it?", name, yes)
    tell(Service(stage).ask("tenant_remove", tenant=name), as_json, f"Removed {name}.")


@groups["pin"].command("set")
def pin_set(
    name: Name,
    account: Account,
    yes: Yes = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Confirm the tenant's GoTo account. Only sign-ins with it are then accepted.

    For "must confirm your GoTo account first": ask the customer which account is theirs, confirm
    it, and let the admin try again.
    """
    confirm(f"Is {account} the GoTo account of {name}? Has the customer told you?", name, yes)
    answer = Service(stage).ask("pin_set", tenant=name, account=account)
    tell(
        answer,
        as_json,
        f"Only GoTo account {account} can connect {name} from now on.",
        "If a sign-in with it was refused before, ask the admin to try again.",
    )


@groups["pin"].command("share")
def pin_share(
    name: Name,
    account: Account,
    yes: Yes = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Let the tenant use a GoTo account that another tenant already has."""
    confirm(f"Do both customers use GoTo account {account}? Have both told you?", name, yes)
    answer = Service(stage).ask("pin_share", tenant=name, account=account)
    tell(answer, as_json, f"{name} shares GoTo account {account} with the tenant that has it.")


@groups["pin"].command("lift")
def pin_lift(name: Name, yes: Yes = False, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Let the tenant connect another GoTo account: the next one becomes its only one.

    Revokes its links. Then: link send NAME.
    """
    confirm(f"Let {name} connect another GoTo account, and revoke its links?", name, yes)
    answer = Service(stage).ask("pin_lift", tenant=name)
    tell(
        answer,
        as_json,
        f"The next GoTo account that connects {name} becomes its own. All its links are revoked.",
        f"Next: ha-goto link send {name}",
    )
