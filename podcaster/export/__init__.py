"""Stage export: a trained model becomes a GGUF file that llama.cpp runs."""
