"""The SDK, async and sync; it needs no server code."""
