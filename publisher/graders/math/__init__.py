"""The `math` grader: notation, exact arithmetic and, in processes that can be killed, symbolic algebra."""
