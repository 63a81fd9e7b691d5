"""What stands in, on one machine, for the services that the product meets in the world."""
