"""Local stand-ins for the services that the product uses in production."""
