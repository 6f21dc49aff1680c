"""Models: preprocessing and estimator as one scikit-learn `Pipeline`, its scores and its pictures."""
