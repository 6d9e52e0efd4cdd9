"""Tables of mixed columns to matrices of numbers, as decided once from many tables of one kind."""
