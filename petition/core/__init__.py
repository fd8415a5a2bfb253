"""What everything else stands on: settings, database, errors, texts, encryption, tokens, quotas, the audit log."""
