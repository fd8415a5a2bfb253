"""In and out: imports made at the desk, tallies, exports, and addresses to an owner's own key."""
