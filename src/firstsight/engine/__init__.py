"""Meta-training, meta-validation and meta-test; imports the contract only and is handed what it runs."""
