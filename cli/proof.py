"""The proof of who invokes a command: a signature for this command alone, which STS checks.

It signs a `GetCallerIdentity` request with a header that hashes the function and the whole command.
The service rebuilds that request, adds the signature and asks STS. The signature fits nothing
else, and the service accepts it once.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

REQUEST_HEADER = "x-ha-goto-request"
PROOF_LIFE = 60
"""Seconds. The service sends STS the same number, so change both together."""


def prove(
    credentials: ReadOnlyCredentials,
    endpoint: str,
    region: str,
    function: str,
    payload: Mapping[str, Any],
) -> dict[str, str]:
    """The proof for one command. ``endpoint``: the region's STS, which the service will ask."""
    nonce = secrets.token_hex(16)
    request = AWSRequest(
        method="GET",
        url=f"{endpoint.rstrip('/')}/?Action=GetCallerIdentity&Version=2011-06-15",
        headers={REQUEST_HEADER: _bound_to(region, function, nonce, payload)},
    )
    SigV4QueryAuth(credentials, "sts", region, expires=PROOF_LIFE).add_auth(request)
    signed = parse_qs(urlsplit(str(request.url)).query)
    proof = {
        "access_key": str(credentials.access_key),
        "date": signed["X-Amz-Date"][0],
        "nonce": nonce,
        "signature": signed["X-Amz-Signature"][0],
    }
    return proof | ({"session_token": credentials.token} if credentials.token else {})


def _bound_to(region: str, function: str, nonce: str, payload: Mapping[str, Any]) -> str:
    """The nonce keeps the hash from revealing a short secret in the payload."""
    text = json.dumps([region, function, nonce, payload], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
