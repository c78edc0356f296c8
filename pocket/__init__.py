"""How Pocket, the model that ships with the course, is made."""
