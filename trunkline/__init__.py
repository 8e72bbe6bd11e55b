"""What is done: use cases, rules, the voice backend and the process around them."""
