"""Figures of fine-tuning: `python -m bench.finetune doctor | line | faults | replay | resume | adapters`."""
