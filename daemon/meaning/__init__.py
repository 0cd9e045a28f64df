"""Search by meaning: vectors that keep up with texts, and answers by them."""
