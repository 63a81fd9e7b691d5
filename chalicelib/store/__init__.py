"""DynamoDB: the only place that knows tables, expressions and item formats.

A module a table, or a transaction over several: `connections` owns `Tokens` and `Grants`, which are
only ever committed together. Values leave as the frozen dataclasses of `model`.
"""
