"""The command line. Each module here exposes its click commands in a list ``COMMANDS``; main.py finds them."""
