"""Reading the files that people bring: tables, JSON, Parquet, folders of texts and plain texts, dirt included."""
