"""Commits tokens from GoTo by one rule, whatever their source."""
