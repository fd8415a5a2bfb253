"""Delivering a letter to its addressees, and what comes back: deliveries, answers, links to answer, objections."""
