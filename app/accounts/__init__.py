"""People, their roles, sessions and tokens, and the log of who did what. Knows nothing of HTTP.

roles       what a person may do where: `Caller`, `role_in`, `admit`
service     people: add, change, deactivate, the first administrator
sessions    browsers that are signed in
tokens      what scripts sign in with
throttle    how often a password may be tried
log         who did what
"""
