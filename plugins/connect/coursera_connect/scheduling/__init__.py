"""When jobs run, that they run alone, and what runs them."""
