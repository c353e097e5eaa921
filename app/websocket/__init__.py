"""GraphQL over a WebSocket at `/graphql`, in the sub-protocol `graphql-transport-ws` (decision 0015)."""
