"""The organizers' desk: getting in, roles, members, invitations."""
