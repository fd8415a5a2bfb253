"""Static copies of letters, without names: what is in them, how they are written, signed and verified."""
