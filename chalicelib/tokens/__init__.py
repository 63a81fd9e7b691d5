"""Commits tokens from GoTo, by one rule, from wherever they come."""
