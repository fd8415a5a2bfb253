"""``petition demo``: everything on one machine, every outgoing mail readable in the browser."""
