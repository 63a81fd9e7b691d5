"""What an admin reads if GoTo granted too little to read calls (S27, F33), in English."""

from __future__ import annotations

from chalicelib.permissions import Usable, scope_sentence

UNUSABLE: dict[Usable, tuple[str, str]] = {
    Usable.SCOPE_MISSING: (
        "Connected, but a permission is missing",
        "hireanalytiX can't read your call reports yet. {mend} If you have no access to the"
        " developer portal, ask the colleague who created the client.",
    ),
    Usable.FORBIDDEN: (
        "Connected, but GoTo refuses to show call reports",
        "The person who connected is not an administrator of your GoTo account, or has no license"
        " for call reports. Give them what is missing at GoTo, or have another administrator click"
        " Get Access Token.",
    ),
    Usable.ACCOUNT_GONE: (
        "Connected, but no longer to your GoTo account",
        "The person who connected no longer belongs to your GoTo account. Another administrator of"
        " the account must click Get Access Token.",
    ),
}
"""A headline and what to do next, for a live connection that can't read calls (F33)."""

SCOPE_REFUSED = (
    "A box is not checked in GoTo's developer portal",
    f"GoTo refused the permissions that hireanalytiX needs. {scope_sentence(())} Nothing has"
    " changed so far. If you have no access to the portal, ask the colleague who created the"
    " client.",
)
"""GoTo refused the scopes before anything was granted."""

ACCOUNT_TAKEN = (
    "That GoTo account belongs to another customer",
    "Another hireanalytiX customer already uses this GoTo account, so your sign-in was not"
    " used. Nothing has changed. Click Get Access Token again and choose your own company's"
    " account. If this is your company's account, please call your hireanalytiX"
    " representative.",
)
"""The account is another tenant's (S26)."""
