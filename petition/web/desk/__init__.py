"""The organizers' desk: one table of routes, one guard, one file a page."""
