"""`ha-goto`: the rep's command line. It invokes one function and stores nothing."""
