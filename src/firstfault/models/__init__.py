"""Runtimes for the models that Firstfault uses: embedders, generators, and the store they come from.

Importing this package is cheap; ONNX Runtime, llama.cpp and HTTP clients are imported when they are used.
"""
