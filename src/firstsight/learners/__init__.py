"""Inner models, one file each: a frozen Config, pure functions, and ``build(config) -> Learner``."""
