"""The report: one page with every table, figure, claim and run of a scale."""
