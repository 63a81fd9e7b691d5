"""For HA's front, in Python with PyJWT: the value of X-Visitor-Token, for one request that it
forwards. See docs/deploying.md#who-is-at-the-door; tests/integration/test_fronts.py runs this file.

    headers.pop("X-Visitor-Token", None)  # whatever the visitor has sent
    if person := logged_in_person():  # your own session
        headers["X-Visitor-Token"] = visitor_token(
            key, "https://acme.example.com", "acme", person.id, person.email
        )
"""

import time

import jwt


def visitor_token(key: str, origin: str, tenant: str, subject: str, email: str) -> str:
    """Who is logged in, signed and valid for two minutes.

    ``key``: the first line of the secret that VisitorKey names. ``origin``: scheme and host of the
    tenant's pages, as in TenantOrigin, without a slash at its end. ``tenant``: its name in ha-goto;
    the person must be one of its users. ``subject``: what never changes about the person in your
    application, such as a number. ``email``: the history and the reps' mails name them by it.
    """
    claims = {
        "sub": subject,
        "email": email,
        "tenant": tenant,
        "aud": origin,
        "exp": int(time.time()) + 120,
    }
    return jwt.encode(claims, key, algorithm="HS256")
