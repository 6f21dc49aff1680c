"""Configuration: composed by Hydra, frozen by pydantic. A light reader serves the DAG files."""
