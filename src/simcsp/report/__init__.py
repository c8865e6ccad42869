"""Tables and figures, made from files only; no model is loaded here."""
