"""How a letter's count is made up and proven, for the press: one snapshot, as a page and as signed JSON."""
