"""Vitrine's serving side. Nothing below this package imports torch or `model`."""
