"""Who may do what: users, groups, service accounts, roles, bindings, and the one function that decides."""
