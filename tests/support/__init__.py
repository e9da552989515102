"""What several tests share: commands, videos good and bad, weights, servers on loopback, checks."""
