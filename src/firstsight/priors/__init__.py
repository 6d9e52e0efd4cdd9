"""What is learned from a family of unlabelled tables, and how a new table of few rows uses it."""
