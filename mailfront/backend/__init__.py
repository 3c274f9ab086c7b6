"""What serves a session after authentication."""
