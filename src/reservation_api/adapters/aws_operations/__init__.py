"""AWS's control plane, over botocore: seldom called, by operators, and never where a request waits."""
