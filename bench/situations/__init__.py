"""Small applications, sound or broken in one way, and whether a diagnosis says so: `python -m
bench.situations`."""
