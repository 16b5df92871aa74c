"""Pictures of what is deployed, read off the synthesized templates; `make drawing` draws them again."""
