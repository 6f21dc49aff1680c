"""Action keys, look-ups and explanations. Look-ups find earlier results; explanations say why a step ran."""
