"""Every entry point: routes, schedule, direct functions, queue and stream. Each parses, calls one
use case and answers. What a function needs is built at its first call, not at import."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from chalice.app import Chalice, CloudWatchEvent, DynamoDBEvent, Request, Response, SQSEvent

from chalicelib.aws.telemetry import closed, logger
from chalicelib.bootstrap import deployment as wiring
from chalicelib.bootstrap.deployment import Deployment
from chalicelib.dynamodb import journal
from chalicelib.errors import MailsWait

if TYPE_CHECKING:
    from chalicelib.notify.metrics import Metrics
    from chalicelib.web.views import Views

JOURNAL_STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/Journal/stream/placeholder"
"""Chalice requires an ARN; the template replaces it with the real stream's."""

RESCUE_QUEUE = "arn:aws:sqs:us-east-1:123456789012:placeholder"
"""The same; with `queue=` instead, Chalice's own address would survive the merge."""

REFRESH_THREADS = 32

FORM = "application/x-www-form-urlencoded"


class Service(Chalice):
    """Chalice, with our page and headers on Chalice's own answers too."""

    @closed
    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        answer: dict[str, Any] = super().__call__(event, context)
        names = {*answer.get("headers", {}), *answer.get("multiValueHeaders", {})}
        if "Content-Security-Policy" in names:
            return answer
        own: dict[str, Any] = _problem(int(answer["statusCode"])).to_dict()
        return own


app = Service(app_name="ha-goto")
app.debug = False
app.log.disabled = True
"""Chalice would log an error in our own error page with its text and its path, which may be a link
(S31). We log only that it happened, with cause ``unrouted``."""


@cache
def deployment() -> Deployment:
    """Settings, clients and stores of this process."""
    return wiring.live()


def _views() -> Views:
    from chalicelib.bootstrap.web import views

    return views(deployment(), _request())


def _metrics() -> Metrics:
    from chalicelib.bootstrap.metrics import metrics

    return metrics(deployment())


def answered(view: Callable[..., Response]) -> Callable[..., Response]:
    """Turn every error of a view into a page with a reference number and a log line. Not a
    middleware: Chalice answers most exceptions of a view before a middleware sees them."""

    @wraps(view)
    def answer(**arguments: str) -> Response:
        try:
            return view(**arguments)
        except Exception as error:
            return _problem(error)

    return answer


@app.route("/connect/{link}", methods=["GET", "HEAD"])
@answered
def open_link(link: str) -> Response:
    """The emailed link."""
    return _views().open_link(link)


@app.route("/connect/{link}", methods=["POST"], content_types=[FORM])
@answered
def press_at_link(link: str) -> Response:
    """The button on a link's page."""
    return _views().press_at_link(link)


@app.route("/intake/{link}", methods=["GET", "HEAD"])
@answered
def intake_page(link: str) -> Response:
    """The customer's form for their GoTo client."""
    return _views().intake_page(link)


@app.route("/intake/{link}", methods=["POST"], content_types=[FORM])
@answered
def enter_credentials(link: str) -> Response:
    return _views().enter_credentials(link)


@app.route("/admin/settings/activities", methods=["GET", "HEAD"])
@answered
def settings_page() -> Response:
    """The settings page, and GoTo's redirect back to it."""
    return _views().settings_page()


@app.route("/admin/settings/activities", methods=["POST"], content_types=[FORM])
@answered
def start() -> Response:
    """Get Access Token."""
    return _views().start()


@app.route("/admin/settings/activities/status", methods=["GET"])
@answered
def status() -> Response:
    """The page polls this while the credentials are processed."""
    return _views().status()


@app.route("/healthz", methods=["GET"])
@answered
def healthz() -> Response:
    """Whether the web function starts and has its settings."""
    return _views().healthz()


@app.lambda_function(name="complete")
@closed
def complete(event: dict[str, str], context: Any) -> None:
    """Finish one authorization request; ``event`` holds only its key."""
    from chalicelib.bootstrap.complete import completion

    ending = completion(deployment(), _time_left(context)).run(event["request"])
    _metrics().connect(ending)
    if ending is not None and ending.unwritten is not None:
        raise ending.unwritten
    logger().info("authorization request finished", reason=ending.reason if ending else None)


@app.lambda_function(name="intake")
@closed
def intake(event: dict[str, str], context: Any) -> dict[str, str]:
    """Check and keep a GoTo client. ``event`` holds its secret and is never logged."""
    from chalicelib.bootstrap.intake import take

    outcome = take(deployment(), event)
    logger().info("credential intake", outcome=outcome)
    return {"outcome": outcome}


@app.schedule("rate(1 minute)", name="refresh_tick")
@closed
def refresh_tick(event: CloudWatchEvent) -> dict[str, int]:
    """Refresh what is due, or hand it over to `refresh_lane`."""
    from chalicelib.bootstrap.refresh import beat, reminders, response_changes, schedule

    started, changes = time.monotonic(), response_changes(deployment())
    fleet = schedule(deployment(), REFRESH_THREADS, _time_left(event.context), changes.met)
    tick_report = fleet.tick()
    counts = dict(tick_report.outcomes)
    beat(deployment())
    changes.tell()
    reminded = reminders(deployment()).send()
    taken = time.monotonic() - started
    logger().info("tick", outcomes=counts, seconds=round(taken, 3), reminded=reminded)
    _metrics().tick(tick_report, taken)
    return counts


@app.lambda_function(name="refresh_lane")
@closed
def refresh_lane(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Refresh what is due in some lanes; ``event`` holds them, the rate and the first wait."""
    from chalicelib.bootstrap.refresh import response_changes, schedule

    changes = response_changes(deployment())
    fleet = schedule(deployment(), REFRESH_THREADS, _time_left(context), changes.met)
    lanes = event.get("lanes") or [event["lane"]]  # sent by the previous version's tick
    lane_report = fleet.lanes(lanes, float(event["rate"]), float(event.get("wait", 0)))
    counts = dict(lane_report.outcomes)
    changes.tell()
    logger().info("lane", lanes=lanes, outcomes=counts)
    _metrics().lane(lane_report)
    return counts


@app.lambda_function(name="refresh_now")
@closed
def refresh_now(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Refresh one tenant for one of HA's services. The answer holds no token."""
    from chalicelib.bootstrap.on_demand import facts_asked, on_demand

    facts = facts_asked(deployment(), event)
    if facts is not None:  # a rep's command; no secret in it
        logger().info("facts", outcome=facts["outcome"])
        return facts
    answer = on_demand(deployment(), _time_left(context)).refresh(event)
    logger().info("refresh on demand", tenant=answer.tenant, outcome=answer.outcome)
    _metrics().on_demand({answer.attempt: 1} if answer.attempt else {})
    return answer.to_dict()


@app.on_sqs_message(queue_arn=RESCUE_QUEUE, batch_size=1, name="rescue")
@closed
def rescue(event: SQSEvent) -> None:
    """Commit an answer of GoTo that DynamoDB refused. If that fails, it stays in the queue."""
    from chalicelib.bootstrap.rescue import rescue as bootstrap

    use_case = bootstrap(deployment())
    for record in event:
        logger().warning("rescue", outcome=use_case.commit(record.body))


@app.lambda_function(name="after_restore")
@closed
def after_restore(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Check one lane after a table was restored from a backup; ``both`` if both tables were."""
    from chalicelib.bootstrap.restore import restore

    counts = dict(restore(deployment()).check(int(event["lane"]), both=bool(event.get("both"))))
    logger().warning("checked after a restore", lane=event["lane"], found=counts)
    return counts


@app.lambda_function(name="rep_command")
@closed
def rep_command(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One rep command. Its payload may hold a client secret and is never logged."""
    from chalicelib.bootstrap.rep import run

    answer = run(deployment(), event, context.aws_request_id, context.invoked_function_arn)
    logger().info("rep command", ok=answer["ok"], kind=answer.get("kind"))
    return answer


@app.on_dynamodb_record(
    stream_arn=JOURNAL_STREAM, name="announce", starting_position="TRIM_HORIZON"
)
@closed
def announce(event: DynamoDBEvent) -> None:
    """Announce entries from the journal's stream, or retry mails from the queue where they wait."""
    from chalicelib.bootstrap.notify import announcer

    use_case, records = announcer(deployment()), event.to_dict()["Records"]
    keys = [record["body"] for record in records if "body" in record]
    images = [record["dynamodb"].get("NewImage") for record in records if "dynamodb" in record]
    waiting = sum(map(use_case.send_waiting, keys))
    _metrics().mails(waiting)
    if waiting:
        raise MailsWait("SES is still not accepting mail")
    for image in filter(None, images):
        _metrics().mails(use_case.announce(journal.read(image), journal.key(image)))


@app.on_cw_event(
    {"source": ["aws.ses"], "detail": {"eventType": ["Bounce", "Complaint", "Reject"]}},
    name="mail_feedback",
)
@closed
def mail_feedback(event: CloudWatchEvent) -> None:
    """Record SES's bounces, complaints and rejects, which it sends to the account's own bus."""
    from chalicelib.bootstrap.notify import mail_feedback as bootstrap

    bootstrap(deployment()).note(event.detail)


def _time_left(context: Any) -> Callable[[], float]:
    """The function's remaining time in seconds, by our own clock: the context's may jump."""
    end = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    return lambda: end - time.monotonic()


def _request() -> Request:
    assert app.current_request is not None  # noqa: S101 - Chalice sets it for every route
    return app.current_request


def _problem(cause: Exception | int) -> Response:
    """The page for an error of ours, or for a status that Chalice answered with itself."""
    from chalicelib.web.views import problem

    try:
        settings = deployment().settings
    except Exception:  # show the page even if the settings are the problem
        settings = None
    return problem(settings, cause)
