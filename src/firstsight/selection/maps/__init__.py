"""Maps of a table: methods propose, measures without labels describe, what was learned from other tables chooses."""
