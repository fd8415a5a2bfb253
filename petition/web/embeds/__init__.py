"""The count on other sites: badge, iframe, component, oEmbed, the page that hands them out, and partners."""
