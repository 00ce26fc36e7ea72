"""A suite binds a data set, its model, losses, taps and predictions into one object the loop can train."""
