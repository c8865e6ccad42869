"""What a run would do: its stages, how much work is in each, and how long that takes here. Nothing is written."""
