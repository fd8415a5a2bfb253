"""Letters: their texts and versions, what is kept in memory, their pages."""
