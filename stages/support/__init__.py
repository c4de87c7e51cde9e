"""Parameters, messages, files and tracking: nothing here can change a result."""
