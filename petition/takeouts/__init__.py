"""Everything of an installation in one encrypted file, and the same installation elsewhere."""
