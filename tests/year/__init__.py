"""A year as it would be: customers, their calls and people, GoTo, AWS, and everything counted."""
