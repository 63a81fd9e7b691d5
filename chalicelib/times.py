"""Every constant of time, with its reason. Seconds unless a line says days. Pure.

They lean on one another: a request to GoTo is shorter than what a function must have left to ask,
that is shorter than what it must have left to begin, and the lease outlasts the function.
`tests/unit/test_times.py` holds them to it, and to the functions' timeouts in the template.
"""

DAY = 86_400

# --- The admin's way

REQUEST_LIFETIME = 600
"""For which an authorization request may stay open (S01: ten minutes at most)."""

PROCESSING_TIMEOUT = 60
"""After the callback, until the page stops waiting (F21)."""

PAGE_RELOAD = 3
"""Between looks at the processing state without scripts; with them, page.js decides."""

NOTICE_SHOWN_FOR = 600
"""For which the page goes on telling how the last authorization request ended."""

TOKEN_SHOWN_FOR = 600
"""For which the browser that completed an authorization may read the token (S18)."""

MAIL_PAUSE = 900
"""Between two mails with a fresh link to the same admin (S15)."""

LINK_LIFETIME = 90 * DAY
"""For which an emailed link serves: a quarter in which the admin may come back to the mail."""

INTAKE_LIFETIME = 14 * DAY
"""For which a link of the credential intake serves, once: it takes a secret."""

INTAKE_TIMEOUT = 20
"""For the intake's answer: longer than that function may run, shorter than the web's time. It is
asked once: what it was given is checked at GoTo."""

HSTS_LIFETIME = 2 * 365 * DAY
"""For which a browser keeps to https (RFC 6797 6.1.1); what browsers' preload lists ask for."""

# --- What GoTo's tokens live

ASSUMED_LIFETIME = 3_600
"""Of an access token whose answer gives no usable ``expires_in`` (GoTo's own)."""

LONGEST_LIFETIME = 10 * 365 * DAY
"""To which a longer ``expires_in`` or ``exp`` is cut: no date runs out of its type."""

REFRESH_TOKEN_LIFETIME = 30 * DAY
"""Of a GoTo refresh token from its issue, not from its last use."""

WARN_DAYS = (2, 7)
"""Days before the end of a grant at which its people are told, the most urgent first."""

# --- When a refresh is due

REFRESH_LEAD = 120
"""Of life left at which a refresh is due at the latest: two ticks."""

LONGEST_REFRESH_PAUSE = DAY
"""Between refreshes: GoTo hands out a new refresh token only to those who ask."""

BACKOFF_LEAST = 5
BACKOFF_BASE = 30
BACKOFF_CAP = 900
"""Least, first and longest pause after a failed refresh."""

TICK_WORKS_FOR = 55.0
"""Of a tick's minute in which requests are begun: the next tick's share comes after."""

TICK_IN_TIME = 60.0
"""In which a tick is on time: then the next one begins."""

CONNECT_IN_TIME = 10.0
"""From the admin's return to the commit that are promised to 95 of 100: about as long as a
person looks at a page that waits."""

DEAD_AFTER = ASSUMED_LIFETIME / 3
"""Overdue for so long, a tenant counts as without a token: a refresh is due at two thirds of GoTo's
hour at the latest, and what was not refreshed since has run out."""

CIRCUIT_TURN = 45
"""Between decisions on GoTo as a whole at least: a tick delivered twice decides once (F17)."""

# --- One refresh

ASK_DEADLINE = 30.0
"""For a token request in all; shorter than the timeout of every function that sends one, but the
intake's (`CHECK_DEADLINE`)."""

TIME_TO_ASK = 45.0
"""That must be left to ask: GoTo's deadline, and half as much to keep its answer. Who lacks them
has perhaps outlived the lease, and another may be asking."""

TIME_FOR_ONE = 60.0
"""That must be left to begin with a tenant (F20)."""

LEASE_MARGIN = 300
"""By which a lease outlasts the function: also covers clocks five minutes apart (F15)."""

CONFIRM_PAUSE = 300
"""Between a refusal that follows an unknown outcome, and the one that confirms it (F10)."""

RESCUE_PATIENCE = 3_600
"""After an unknown outcome, for which nothing is asked while the rescue queue holds anything: it
may be this tenant's answer, and the old refresh token must not be shown again. Ten deliveries of
the queue; after them GoTo is asked, and may answer. What it refuses then is not believed as long as
anything waits: nobody is told to connect again whose tokens may be there (F10)."""

KEEP_FIRST_PAUSE = 0.1
KEEP_LONGEST_PAUSE = 5.0
"""Between attempts to keep tokens that GoTo has already issued; doubled each time."""

TIME_TO_COMMIT = 12.0
"""That one commit may take where DynamoDB hangs: all its attempts, and a pause."""

TIME_TO_END = 5.0
"""Of the function's time that no further attempt to keep them may use up."""

# --- A refresh on demand

LONGEST_MINIMUM = 1_800
"""For which a service may ask a token to be valid; half of what GoTo's tokens live."""

SETTLED_FOR = 60
"""After a refresh, in which none is done for the sake of `min_valid_seconds`."""

READ_AGAIN = 2
"""After which a service that met another worker reads the table again."""

WHILE_DOWN = 60
"""After which a service asks again while GoTo counts as down: the next tick's probe."""

REFRESH_TIMEOUT = 45
"""For the answer of a refresh at the rep's word: a request to GoTo and what goes with it. It is
asked once, like the intake."""

# --- Calls

OUTBOUND_CONNECT_TIMEOUT = 5.0
OUTBOUND_READ_TIMEOUT = 20.0
"""Without a byte; GoTo's answers usually take well under one second."""

CHECK_DEADLINE = 10.0
"""To hear whether GoTo knows a client: a person is waiting, and the intake's function does not run
for longer."""

SIDE_DEADLINE = 8.0
"""For the account look-up and for a revocation: the admin is waiting."""

AWS_CONNECT_TIMEOUT = 2
AWS_READ_TIMEOUT = 8
AWS_ATTEMPTS = 3
"""For one call to an AWS service."""

KEEP_READ_TIMEOUT = 4
KEEP_ATTEMPTS = 2
"""The same for DynamoDB and SQS, which keep what GoTo has given: one that hangs must leave time for
the other. They usually answer within a tenth of a second."""

CALLER_DEADLINE = 5.0
"""For STS to say who a rep is: the rep is waiting."""

CALLER_PROOF_LIFE = 360
"""A rep's proof of who they are is used at once; AWS allows clocks to be five minutes off."""

CONFLICT_PAUSE = 0.05
"""Before a write that met a transaction is tried again; doubled for each further attempt."""

# --- What is kept, and for how long

REQUEST_KEPT = 7 * DAY
"""The row of a finished authorization request: single-use outlives its window."""

BROWSER_KEPT = 400 * DAY
"""A browser; also the longest life of its cookie (RFC 6265bis 5.5: 400 days)."""

LINK_KEPT = 400 * DAY
"""An expired link is still known, so that it can be replaced by mail."""

SENT_KEPT = 3 * DAY
"""That a mail was sent; a stream holds its records for one day."""

SECRET_RECOVERY = 30
"""Days for which a deleted secret can still be restored."""

# --- What counts as late

OVERDUE_AFTER = 120
"""After which a refresh that is due counts as overdue: the tick comes every minute."""

TICK_LATE = 180
"""After which the last tick counts as late."""
