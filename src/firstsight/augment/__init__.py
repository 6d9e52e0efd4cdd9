"""Random changes that leave a thing what it is."""
