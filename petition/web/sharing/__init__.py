"""Atom feed and site map; the share card is drawn in web.share_card."""
