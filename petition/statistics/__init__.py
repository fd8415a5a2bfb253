"""Statistics of a letter, from figures that are kept along with its rows."""
