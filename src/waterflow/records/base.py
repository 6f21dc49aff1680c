"""Base class of the records that travel between steps.

Records are small and frozen, and travel as JSON: through Airflow's XCom, or as files. Frames, splits, configurations
and models are references: a `Blob` names an object in the store by the sha256 of its bytes, a model id a model in
MLflow.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen object that survives JSON without loss. It turns into JSON and back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, for XCom and record files."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> Self:
        """Validate what `to_json` returned; raises pydantic's ValidationError."""
        return cls.model_validate(payload)
