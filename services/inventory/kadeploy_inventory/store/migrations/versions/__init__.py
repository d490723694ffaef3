"""One file per change of the tables; each says what it does to each of the two databases."""
