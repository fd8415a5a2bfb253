"""CSV, XLSX, encodings, dates: readers and writers that know nothing of petitions."""
