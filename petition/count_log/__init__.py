"""The count log: an append-only, public log of what moves a letter's count. See docs/decisions/count-log.md."""
