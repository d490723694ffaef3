"""`ka status`: the services, and what is under way in the cluster."""
