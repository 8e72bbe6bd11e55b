"""What is remembered. Knows neither GraphQL nor the network."""
