"""Action keys, look-ups of earlier results, and explanations of why a step ran."""
