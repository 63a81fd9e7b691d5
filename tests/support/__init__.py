"""What several test layers share: tables made from the template, a clock, a GoTo that obeys."""
