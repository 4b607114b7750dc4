"""What runs inside the sandbox, beside a program: the standard library only, and nothing that knows an answer."""
