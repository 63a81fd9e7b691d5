"""The commands: each asks the service once or page by page, and shows the answer."""
