"""Densities of tables of mixed columns: mixtures of Gaussians times categorical tables, and stacks of them."""
