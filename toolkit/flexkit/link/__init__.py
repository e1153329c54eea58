"""From the host to the agent on the board: records, the link, messages, typed operations."""
