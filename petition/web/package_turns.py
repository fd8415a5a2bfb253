"""Documents are drawn one at a time in a process: the desk's and those that an addressee's link needs anew."""

from petition.web.turns import ConcurrencyLimit

DRAWING = ConcurrencyLimit(1, 8, 20.0)  # at once, waiting, seconds
