"""SimCSP: contrastive pre-training of splice-site language models, measured."""

import os

# Linux hands out memory in pages of 4 kB; large tensors in pages of 2 MB save a fifth of a training step on the CPU.
# torch reads this when it first allocates a tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__version__ = "0.5.0"
