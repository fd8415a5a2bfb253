"""The package: what is handed to addressees, and the sheet for signing on paper."""
