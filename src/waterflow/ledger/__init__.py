"""The ledger of promotions. Every decision on a model's champion is a row that nobody can change."""
