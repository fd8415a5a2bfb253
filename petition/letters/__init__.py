"""Letters: folders, versions, publishing, the pages that show them."""
