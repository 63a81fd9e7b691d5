"""The service: OAuth permission to customers' GoTo phone systems, obtained, kept alive, read."""
