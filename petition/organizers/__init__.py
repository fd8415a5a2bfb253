"""Organizers: accounts, sessions, second factors, invitations, and roles in letters."""
