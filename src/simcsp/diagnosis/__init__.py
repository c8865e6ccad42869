"""What ``src/doctor.py`` looks at: one module per kind of trouble, each of which gives findings."""
