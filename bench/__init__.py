"""Measurements of the whole service: an open-model load generator, a report and a profile."""
