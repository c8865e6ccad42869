"""SimCSP: contrastive pre-training of splice-site language models, measured."""

__version__ = "0.2.0"
