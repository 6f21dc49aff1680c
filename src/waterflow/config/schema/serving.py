"""How the champion answers requests. Nothing here changes what is trained or decided."""

from typing import Literal

from waterflow.config.schema.base import Section


class ServingConfig(Section):
    """Settings of the serving service. They enter no action key.

    `contract` says what happens to a row that breaks the contract: `reject` refuses the request, `warn` answers and
    names the breach. A row that the model cannot take is always refused.
    """

    contract: Literal["reject", "warn"] = "reject"
