"""What keeps a process from taking on more than it can do: a gate for all, and a rate for each subject."""
