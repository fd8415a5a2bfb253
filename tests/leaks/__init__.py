"""Every value that 200 signatories type is searched for, in every place and way that it could be written.

What may be where stands in ``petition/stored_data``; ``test_everywhere.py`` compares it with what there is.
"""
