"""Announces journal entries to people and systems."""
