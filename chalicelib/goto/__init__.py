"""GoTo's OAuth endpoints and API."""
