"""The prediction log: what was answered to whom, with its input for a while, so that it can be replayed."""
