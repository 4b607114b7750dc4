"""The confined child process: everything that reads a model and calls llama.cpp."""
