"""`nexusflow doctor`: what is wrong with this copy of the project, and what to do about it."""
