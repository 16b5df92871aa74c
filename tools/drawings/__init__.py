"""Pictures of what is deployed, drawn from the synthesized templates; `make drawing` draws them again."""
