"""The desk's rooms for writing: a new letter, its text, the preview, publishing."""
