"""What people do with suites besides running them: find, fetch, check, compare, weigh and grow them."""
