"""Estimators of our own that follow scikit-learn's interface."""
