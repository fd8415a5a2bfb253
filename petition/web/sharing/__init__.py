"""Share card, Atom feed and site map."""
