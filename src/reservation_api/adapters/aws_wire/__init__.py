"""Calls of AWS services: signed JSON over connections that are kept; every AWS adapter builds upon it."""
