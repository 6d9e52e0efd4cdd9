"""Task distributions, one file each: a frozen Config and ``build(...) -> Sample``."""
