"""Who calls, and what they may do: API keys, tokens, certificates, and the pace of each caller."""
