"""Updates mailed to subscribers."""
