"""The ledger of promotions: every decision on a model's champion, as a row that nobody can change."""
