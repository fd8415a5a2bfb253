"""The files in deploy/, run by the programs they are for."""
