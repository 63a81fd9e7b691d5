"""DynamoDB: the only place that knows tables, expressions and item formats.

One module a table, but `connections`, which owns `Tokens` and `Grants` together because they
are only ever committed together. Values leave as the frozen dataclasses of `model`.
"""
