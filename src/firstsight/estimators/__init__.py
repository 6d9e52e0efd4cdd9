"""Estimators in the manner of scikit-learn: thin shells around pure functions, with what was meta-trained."""
