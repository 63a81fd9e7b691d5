"""The DynamoDB tables, one module per table."""
