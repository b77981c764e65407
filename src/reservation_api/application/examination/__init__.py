"""The deployment beside the document: what is there, missing or different."""
