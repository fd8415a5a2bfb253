"""The count on other sites: badge, frame, component, oEmbed, and the page with the lines to copy."""
