"""Every entry point: routes, schedule, direct functions, stream. Each parses, calls one use case,
and answers. What a function needs is built at its first call, never at import."""

import time
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from chalice.app import Chalice, CloudWatchEvent, DynamoDBEvent, Request, Response, SQSEvent

from chalicelib import commands, languages, pages, web
from chalicelib.authorize import Visitor
from chalicelib.credentials import Outcome
from chalicelib.errors import DependencyUnavailable, LinkNotUsable, VisitorError
from chalicelib.links import new_reference, well_formed
from chalicelib.model import IntakeProblem
from chalicelib.oauth import is_callback
from chalicelib.services import Services
from chalicelib.store import journal
from chalicelib.telemetry import logger, report

JOURNAL_STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/Journal/stream/placeholder"
"""Chalice wants an ARN here; the template puts the real stream in its place."""

RESCUE_QUEUE = "arn:aws:sqs:us-east-1:123456789012:placeholder"
"""Likewise; with `queue=` instead, Chalice's own address would survive the merge."""

REFRESH_THREADS = 16


class Service(Chalice):
    """Chalice, with our page and headers also on the answers that Chalice makes itself."""

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        answer: dict[str, Any] = super().__call__(event, context)
        names = {*answer.get("headers", {}), *answer.get("multiValueHeaders", {})}
        if "Content-Security-Policy" in names:
            return answer
        status = int(answer["statusCode"])
        words = languages.ENGLISH
        message = words.NOT_FOUND if status < 500 else words.UNAVAILABLE
        own: dict[str, Any] = _problem_page(message, status, "unrouted").to_dict()
        return own


app = Service(app_name="ha-goto")
app.debug = False


@cache
def services() -> Services:
    """The adapters and use cases of this process."""
    return Services()


def answered(view: Callable[..., Response]) -> Callable[..., Response]:
    """Whatever goes wrong in a view ends in a page with a reference number and a line of the log.

    Not a middleware: Chalice answers most exceptions of a view before a middleware sees them.
    """

    @wraps(view)
    def answer(**arguments: str) -> Response:
        try:
            return view(**arguments)
        except VisitorError as error:
            kind = type(error)
            message = _words().ERRORS[kind]
            return _problem_page(message, error.status, kind.__name__, kind is LinkNotUsable)
        except DependencyUnavailable as error:
            return _problem_page(_words().UNAVAILABLE, 503, str(error))
        except Exception as error:
            report("unexpected error", error)
            return _problem_page(_words().UNAVAILABLE, 500, type(error).__name__)

    return answer


@app.route("/connect/{link}", methods=["GET", "HEAD"])
@answered
def open_link(link: str) -> Response:
    """The emailed link: no row is written, cookies are set, and on to the settings page."""
    services().visit.open_link(link)
    cookies = web.link_cookies(_request(), link)
    return web.to_settings_page(services().settings, cookies)


@app.route("/connect/{link}", methods=["POST"], content_types=[web.FORM_TYPE])
@answered
def ask_for_fresh_link(link: str) -> Response:
    """The button on a dead link's page."""
    services().visit.ask_for_fresh_link(link)
    words = _words()
    return web.page(services().settings, pages.message_page(words.LINK_MAILED, None, words))


@app.route("/intake/{link}", methods=["GET", "HEAD"])
@answered
def intake_page(link: str) -> Response:
    """A link of the credential intake: instructions and form. Writes nothing."""
    browser = web.known_browser(_request())
    view = services().intake_visit.page(Visitor(link, browser))
    page = pages.intake_page(view, _words())
    return web.page(services().settings, page, cookies=[web.browser_cookie(browser)])


@app.route("/intake/{link}", methods=["POST"], content_types=[web.FORM_TYPE])
@answered
def enter_credentials(link: str) -> Response:
    """Check and store. What was entered is in no answer and no log line."""
    visitor = Visitor(link, web.visitor(_request()).browser)
    form, entered = web.form_post(_request()), web.entered_client(_request())
    view = services().intake_visit.submit(visitor, form, entered)
    if view.done:
        return web.redirect(services().settings, f"/intake/{link}")
    status = 503 if IntakeProblem.UNCHECKED in view.problems else 400
    return web.page(services().settings, pages.intake_page(view, _words()), status)


@app.route("/admin/settings/activities", methods=["GET", "HEAD"])
@answered
def settings_page() -> Response:
    """The settings page, which is also the redirect URI: GoTo's answer arrives here."""
    visitor = web.visitor(_request())
    parameters = web.parameters(_request())
    if is_callback(parameters) and _request().method == "GET":  # HEAD changes nothing (S13)
        services().visit.callback(visitor, parameters)
        return web.to_settings_page(services().settings)
    try:
        view = services().visit.settings_page(visitor)
    except LinkNotUsable:
        return _without_link(visitor)
    return web.page(services().settings, pages.settings_page(view, _words()))


@app.route("/admin/settings/activities", methods=["POST"], content_types=[web.FORM_TYPE])
@answered
def start() -> Response:
    """Get Access Token."""
    visitor, form = web.visitor(_request()), web.form_post(_request())
    try:
        location = services().visit.start(visitor, form)
    except LinkNotUsable:
        return _without_link(visitor)
    return web.redirect(services().settings, location)


@app.route("/admin/settings/activities/status", methods=["GET"])
@answered
def status() -> Response:
    """What the page polls while the credentials are being processed."""
    try:
        processing = services().visit.processing(web.visitor(_request()))
    except LinkNotUsable:
        return web.json_answer(services().settings, {"processing": False}, 401)
    return web.json_answer(services().settings, {"processing": processing})


@app.route("/healthz", methods=["GET"])
@answered
def healthz() -> Response:
    """Whether the web function starts and has its settings."""
    return web.json_answer(services().settings, {"ok": True})


@app.lambda_function(name="complete")
def complete(event: dict[str, str], context: Any) -> None:
    """Finish one authorization request; ``event`` holds its key alone."""
    completion = services().completion(_time_left(context))
    try:
        reason = completion.run(event["request"])
        logger().info("authorization request finished", reason=reason)
    finally:  # also where its end could not be written
        services().metrics.connect(completion.finished)


@app.lambda_function(name="intake")
def intake(event: dict[str, str], context: Any) -> dict[str, str]:
    """Check and keep a GoTo client. ``event`` holds its secret and is never logged, nor is what
    went wrong in a library that had it in its hands."""
    try:
        outcome = services().credential_intake.take(event)
    except Exception as error:
        report("intake failed", error)
        outcome = Outcome.UNCHECKED
    logger().info("credential intake", outcome=outcome)
    return {"outcome": outcome}


@app.schedule("rate(1 minute)", name="refresh_tick")
def refresh_tick(event: CloudWatchEvent) -> dict[str, int]:
    """Refresh what is due, or hand it over to `refresh_lane`."""
    started = time.monotonic()
    schedule = services().schedule(REFRESH_THREADS, _time_left(event.context))
    counts = dict(schedule.tick())
    taken = time.monotonic() - started
    logger().info("tick", outcomes=counts, seconds=round(taken, 3))
    services().metrics.tick(counts, schedule.glimpse, taken)
    return counts


@app.lambda_function(name="refresh_lane")
def refresh_lane(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Refresh what is due in one lane; ``event``: its number, rate and first wait."""
    schedule = services().schedule(REFRESH_THREADS, _time_left(context))
    wait = float(event.get("wait", 0))  # a tick of the version before this one names none
    counts = dict(schedule.lane(int(event["lane"]), float(event["rate"]), wait))
    logger().info("lane", lane=event["lane"], outcomes=counts)
    services().metrics.lane(counts, schedule.glimpse)
    return counts


@app.lambda_function(name="refresh_now")
def refresh_now(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Refresh one tenant for one of HA's services. The answer holds no token."""
    on_demand = services().on_demand(_time_left(context))
    answer = on_demand.refresh(event)
    logger().info("refresh on demand", tenant=answer.tenant, outcome=answer.outcome)
    services().metrics.on_demand(on_demand.outcomes)
    return answer.to_dict()


@app.on_sqs_message(queue_arn=RESCUE_QUEUE, batch_size=1, name="rescue")
def rescue(event: SQSEvent) -> None:
    """Commit what GoTo gave and DynamoDB would not take. What fails stays in the queue."""
    ours = services().rescue
    for record in event:
        logger().warning("rescue", outcome=ours.commit(record.body))


@app.lambda_function(name="after_restore")
def after_restore(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Check one lane after a table came back from a backup; ``both`` if both tables did."""
    counts = dict(services().restore.check(int(event["lane"]), both=bool(event.get("both"))))
    logger().warning("checked after a restore", lane=event["lane"], found=counts)
    return counts


@app.lambda_function(name="rep_command")
def rep_command(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One command of a rep. Its payload may hold a client secret and is never logged."""
    reference, account = context.aws_request_id, context.invoked_function_arn.split(":")[4]
    answer = commands.run(
        services().desk, event, lambda: services().callers.identify(event, reference, account)
    )
    logger().info("rep command", ok=answer["ok"], kind=answer.get("kind"))
    return answer


@app.on_dynamodb_record(stream_arn=JOURNAL_STREAM, name="announce", starting_position="LATEST")
def announce(event: DynamoDBEvent) -> None:
    """Tell what the journal says."""
    for record in event:
        if record.new_image:
            services().announcer.announce(
                journal.read(record.new_image), journal.key(record.new_image)
            )


@app.on_cw_event(
    {"source": ["aws.ses"], "detail": {"eventType": ["Bounce", "Complaint", "Reject"]}},
    name="mail_feedback",
)
def mail_feedback(event: CloudWatchEvent) -> None:
    """What became of a mail, as SES tells it on the account's own bus."""
    services().mail_feedback.note(event.detail)


def _time_left(context: Any) -> Callable[[], float]:
    """The function's remaining time in seconds, counted here: the clock of the context may jump."""
    end = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    return lambda: end - time.monotonic()


def _request() -> Request:
    assert app.current_request is not None  # noqa: S101 - Chalice sets it for every route
    return app.current_request


def _words() -> languages.Catalogue:
    request = app.current_request
    return languages.preferred(request.headers.get("accept-language") if request else None)


def _without_link(visitor: Visitor) -> Response:
    """An old link, kept in a cookie, ends at its own page, where a fresh one can be asked for."""
    if visitor.link is not None and well_formed(visitor.link):
        return web.redirect(services().settings, f"/connect/{visitor.link}")
    return _problem_page(_words().NO_LINK, 401, "no link cookie")


def _problem_page(
    message: tuple[str, str], status: int, cause: str, fresh_link: bool = False
) -> Response:
    reference = new_reference()
    logger().warning("answered with a problem", cause=cause, status=status, reference=reference)
    try:
        settings = services().settings
    except Exception:  # the page must come even where the settings are the problem
        settings = None
    page = pages.message_page(message, reference, _words(), fresh_link=fresh_link)
    return web.page(settings, page, status)
