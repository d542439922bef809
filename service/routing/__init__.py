"""Which version answers whom: the routings in force, where they are kept, and shadows."""
