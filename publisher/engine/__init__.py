"""The parent's half of inference: it starts, feeds and watches confined child processes; it never imports llama.cpp."""
