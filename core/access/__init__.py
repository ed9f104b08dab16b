"""Who may do what, logins, and the audit trail of what was done."""
