"""The confined child process: everything that runs next to llama.cpp."""
