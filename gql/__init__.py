"""What a client may say and see: the GraphQL API and how it is spoken over HTTP. No SQL, no voice backend, no rules."""
