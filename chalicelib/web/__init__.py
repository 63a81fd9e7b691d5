"""HTTP requests and answers, pages and their words."""
