"""What every section of the schema builds on."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from waterflow.config.schedule import check_duration, check_owner, check_tag, check_time_zone

Fraction = Annotated[float, Field(gt=0, lt=1)]
Duration = Annotated[str, AfterValidator(check_duration)]
Owner = Annotated[str, AfterValidator(check_owner)]
Tag = Annotated[str, AfterValidator(check_tag)]
TimeZone = Annotated[str, AfterValidator(check_time_zone)]


class Section(BaseModel):
    """An immutable part of the configuration that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
