"""The HTTP port: metrics, health, and what people look at."""
