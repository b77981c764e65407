"""Plans and applies Terraform modules against local stand-ins for AWS (see README.md)."""
