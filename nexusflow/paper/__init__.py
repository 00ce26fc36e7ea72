"""Tables and figures of the paper, made from result files only; no model is ever imported here."""
