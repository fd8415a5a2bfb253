"""Moderation: the queue, decisions that can be undone, reports by readers, bulk acts."""
