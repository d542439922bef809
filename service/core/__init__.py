"""The pure core: values and decisions. No I/O, no clock, no asyncio, no logging, no threads.

Shared by serving and by `model/`, so that there is one owner of what a network expects.
"""
