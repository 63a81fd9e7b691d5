"""Tells people and systems what the journal says."""
