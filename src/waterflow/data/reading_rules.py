"""What a pipeline says about the columns of its source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from waterflow.config.schema import ContractType, PipelineConfig, ReadingSection, Source, TimeUnit, setting_for


@dataclass(frozen=True)
class ReadingRules:
    """The declared types and uses of columns.

    With them goes how times and nulls are written. `contract` and `dtype` are types by column; the contract's come
    first. `unused` columns may have any type, and `only`, where features are declared, lists all that are used.
    """

    contract: Mapping[str, ContractType] = field(default_factory=dict)
    dtype: Mapping[str, ContractType] = field(default_factory=dict)
    time_column: str | None = None
    unused: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    source: ReadingSection = field(default_factory=ReadingSection)

    @classmethod
    def of_source(cls, source: Source) -> Self:
        """Return the rules of a source alone. All its columns are used."""
        settings = source if isinstance(source, ReadingSection) else ReadingSection()
        return cls(dtype=settings.dtype, source=settings)

    @classmethod
    def of_pipeline(cls, config: PipelineConfig) -> Self:
        """Return the rules of a pipeline and its source."""
        columns = {} if config.contract is None else config.contract.columns
        named = {config.target, config.group, config.time_column, config.weight, *config.key, *columns}
        named |= {name for names in (config.contract.unique if config.contract else ()) for name in names}
        named |= {asked.column for asked in config.promotion.not_worse_on}
        named |= set(config.promotion.dependence.by if config.promotion.dependence else ())
        used = frozenset(str(name) for name in named if name is not None)
        source = cls.of_source(config.dataset)
        return cls(
            contract={name: rules.type for name, rules in columns.items() if rules.type is not None},
            dtype=source.dtype,
            time_column=config.time_column,
            unused=frozenset({*config.drop, *config.known_after} - used),
            only=None if config.named_features is None or config.rows.where else used | set(config.named_features),
            source=source.source,
        )

    def uses(self, name: str) -> bool:
        """Return whether the pipeline needs a column, or may."""
        return name not in self.unused and (self.only is None or name in self.only)

    def type_of(self, name: str) -> ContractType | None:
        """Return a column's declared type. The time column holds times."""
        declared = self.contract.get(name) or self.dtype.get(name)
        return "datetime" if declared is None and name == self.time_column else declared

    def time_format(self, name: str) -> str | None:
        """Return the stated format of a column's times."""
        return setting_for(self.source.time_format, name)

    def time_unit(self, name: str) -> TimeUnit | None:
        """Return the stated unit of times that are numbers."""
        return setting_for(self.source.time_unit, name)
