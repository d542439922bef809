"""From a recipe to a published model. Imports the core and the engine of `service`, never the reverse."""
