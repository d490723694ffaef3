"""The two databases, `deploy` and `deploy_right`. Rows stop here: what comes out are values of the domain."""
