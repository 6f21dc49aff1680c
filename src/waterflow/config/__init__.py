"""Configuration: Hydra composes it, pydantic freezes it, a light reader serves the DAG files."""
