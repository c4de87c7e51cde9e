"""Reading the files that people bring: tables, JSON lines, Parquet, folders of texts and plain texts, dirt included."""
