"""The functions that tell people: `announce`, which the journal's stream invokes, and
`mail_feedback`."""

from __future__ import annotations

from chalicelib.bootstrap.deployment import Deployment
from chalicelib.connect.invitations import Invitations
from chalicelib.dynamodb.links import SentMails
from chalicelib.notify.announcer import Announcer
from chalicelib.notify.eventbridge import Bus
from chalicelib.notify.fleet_counts import FleetCounts
from chalicelib.notify.mail_feedback import MailFeedback
from chalicelib.notify.ses import Mail
from chalicelib.notify.waiting_mails import WaitingMails


def announcer(deployment: Deployment) -> Announcer:
    """Mails people and publishes events."""
    settings = deployment.settings
    return Announcer(
        tenants=deployment.tenants,
        fleet=fleet_counts(deployment),
        invitations=invitations(deployment),
        sent_mails=SentMails(deployment.tables),
        mail=Mail(
            client=deployment.client("sesv2"),
            sender=settings.mail_from,
            configuration=settings.mail_configuration,
            reply_to=settings.support_email,
        ),
        waiting=WaitingMails(client=deployment.client("sqs"), url=settings.mails_waiting),
        bus=Bus(client=deployment.client("events"), name=settings.bus),
        journal=deployment.journal,
        report=deployment.report,
        clock=deployment.clock,
        rep_mail=settings.rep_mail,
        answered=settings.support_email is not None,
    )


def fleet_counts(deployment: Deployment) -> FleetCounts:
    return FleetCounts(
        tenants=deployment.tenants, connections=deployment.connections, fleet=deployment.fleet
    )


def invitations(deployment: Deployment) -> Invitations:
    return Invitations(
        settings=deployment.settings,
        tenants=deployment.tenants,
        links=deployment.links,
        journal=deployment.journal,
        clock=deployment.clock,
    )


def mail_feedback(deployment: Deployment) -> MailFeedback:
    """Notes bounces and complaints."""
    return MailFeedback(
        tenants=deployment.tenants, journal=deployment.journal, clock=deployment.clock
    )
