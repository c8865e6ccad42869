"""Encoders, pooling, and the losses they are trained with."""
