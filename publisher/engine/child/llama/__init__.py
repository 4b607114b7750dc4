"""The layer over llama.cpp: its C functions, its handles, its batches and the drawing of tokens."""
