"""What a recipe says: a file for each section, with its fields, their bounds, and what one asks of another."""
