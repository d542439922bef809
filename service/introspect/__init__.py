"""Looking into a served model: layers, feature maps, the arithmetic of one unit."""
