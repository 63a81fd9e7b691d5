"""The rep's commands and what they act through."""
