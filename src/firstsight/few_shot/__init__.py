"""Classes from a few examples in an embedding that was learned without labels."""
