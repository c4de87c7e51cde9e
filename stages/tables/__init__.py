"""Reading the files that people bring: tables, JSON lines, folders of texts and plain texts, dirt included."""
