"""Fine-tuning: data checked, a LoRA adapter trained, its abilities measured, gated, released and diagnosed.

Importing this package loads neither torch nor transformers; training asks for the `finetune` extra.
"""

from firstfault.finetune.releases import (
    Candidate,
    Release,
    list_releases,
    open_release,
    publish,
    rollback,
)

__all__ = ["Candidate", "Release", "list_releases", "open_release", "publish", "rollback"]
