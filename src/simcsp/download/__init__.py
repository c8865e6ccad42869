"""Public data sets: where they are, fetching them whole and unchanged, unpacking them safely."""
