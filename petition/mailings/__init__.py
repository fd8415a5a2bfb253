"""Updates mailed to subscribers: starting, walking, sending, adding up; and the reminder to confirm."""
