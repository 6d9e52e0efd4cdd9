"""Meta-learners, one file each: a frozen Config, pure functions, and ``build(config, learner) -> MetaLearner``."""
