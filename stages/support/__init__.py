"""Parameters, messages and files: nothing here can change a result."""
