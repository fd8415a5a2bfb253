"""Statistics of a letter, from figures that are updated together with its rows."""
