"""Made-up conversations: the file, the loading, and the custom resource."""
