"""Published letters: text, states, updates, switches, partners, keys."""
