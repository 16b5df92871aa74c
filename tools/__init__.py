"""What makes this repository: installation, checks, benchmarks, pictures."""
