"""A person checks the results of a cohort in a browser: the page, the verdicts, and what is made of them."""
