"""The order of things: the only room that knows more than one step."""
