"""Other diagnosers on the same situations: one adapter each, run in a virtual environment of its own."""
