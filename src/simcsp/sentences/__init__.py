"""SCCS and NMI on labelled sentences: a control of the measures, not of any splice-site model."""
