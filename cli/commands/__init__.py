"""The commands: each asks the service once or page by page, and shows what it says."""
