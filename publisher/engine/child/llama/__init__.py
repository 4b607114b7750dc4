"""llama.cpp itself: its C functions, its handles, its batches and the drawing of tokens."""
