"""The badge and the share picture of a letter, with their words: drawn for pages, embeds and mirrors."""
