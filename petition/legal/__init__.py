"""The legal folder: what a data controller must have in writing, made from what the program really does."""
