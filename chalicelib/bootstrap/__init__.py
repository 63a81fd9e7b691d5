"""Builds each function's use cases: one module per function, and `deployment`, which all share."""
