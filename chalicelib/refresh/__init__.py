"""Keeps access tokens alive: one tenant, the fleet, on demand."""
