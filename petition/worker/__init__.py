"""The worker: mail, schedules, long jobs, retention."""
