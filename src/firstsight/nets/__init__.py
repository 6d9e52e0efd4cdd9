"""torch modules that learners are built from, and the bridge to pure functions."""
