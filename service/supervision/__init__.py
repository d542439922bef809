"""A worker is two processes: one that computes and may die of it, and one that sees to the consequences."""
