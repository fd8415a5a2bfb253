"""Mail: jobs written with the signatures, chosen, written and sent by the worker alone."""
