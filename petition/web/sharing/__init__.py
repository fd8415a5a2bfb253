"""How a letter is found and passed on: the picture beside a shared link, the site map, the feed."""
