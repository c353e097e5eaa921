"""The domain: rules, tables, services and the graph that publishes them."""
