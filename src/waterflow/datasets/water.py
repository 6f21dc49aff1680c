"""Water systems of US ZIP codes, and their violations. They form one flat table."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from waterflow.provenance.code import code_digest

PACKAGE = "us-water-quality-data"

# Copied from a record unchanged.
PLAIN = (
    "zip",
    "state",
    "city",
    "latitude",
    "longitude",
    "pwsid",
    "system_name",
    "population",
    "water_source",
    "lead_level_mg_l",
    "radon_zone",
    "home_safety_score",
    "contaminant_count",
    "total_violations",
    "health_violations",
)


def water(home: Path) -> pd.DataFrame:
    """Load the 23,795 US ZIP codes with known water systems.

    The systems are public ones. Source: ZipCheckup (CC-BY-4.0); EPA SDWIS and ECHO. One row per `zip` (str, unique).
    Null means unknown, never 0 or clean.

    where       state, city (str), latitude, longitude (degrees)
    system      pwsid (str, EPA's id of the main water system), system_name, population (people served),
                service_area_population (those of this area), water_source (SW surface, GW ground),
                systems (how many serve the ZIP)
    measured    lead_level_mg_l (90th percentile), copper_action_level (`exceeded` or null), radon_zone (1 highest
                to 3), annual_aqi_score, pfas_score (0 to 100, 100 best)
    label       has_health_violations (bool): any health-based violation from 2021 to 2026Q2, 8,345 of them
    leaks it    health_violations, total_violations, contaminant_count (counts of the same violations),
                water_compliance_score, home_safety_score (derived from them): never features
    service_area  the smallest pwsid among all that are linked by a ZIP that they serve together

    A ZIP's violations are those of *all* its systems, so ZIPs of different `pwsid` share violations where they share
    a second system: rows are independent across `service_area` (2,150 of them), and only there. Group by that.
    The package's JSON takes seconds to read, so the table is cached as Parquet below `home`.
    """
    # Another version of the package, or of this code, is another snapshot.
    name = f"water-{version(PACKAGE)}-{code_digest(__name__)[:12]}.parquet"
    path = home / "data" / "water" / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        _read_package().to_parquet(partial, index=False)
        partial.replace(path)
    return pd.read_parquet(path)


def _read_package() -> pd.DataFrame:
    import us_water_quality_data as package

    found = (package.lookup(code) for code in package.zips())
    records = [record for record in found if record is not None and record["water_data_available"]]
    frame = pd.DataFrame([_flatten(record) for record in records])
    numbers = ("lead_level_mg_l", "radon_zone", "home_safety_score", "annual_aqi_score", "pfas_score")
    frame = frame.astype(dict.fromkeys(numbers, "float64"))
    systems = [[system["pwsid"] for system in record["violation_systems"]] for record in records]
    return frame.assign(service_area=_service_areas(systems), has_health_violations=frame["health_violations"] > 0)


def _flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    systems = record["violation_systems"]
    main = next(system for system in systems if system["pwsid"] == record["pwsid"])
    scores = record["home_safety_component_scores"]
    return {name: record[name] for name in PLAIN} | {
        "systems": len(systems),
        "service_area_population": main["serviceAreaPopulation"],
        # The source records an exceedance or nothing, so there is no second category.
        "copper_action_level": "exceeded" if record["copper_action_level_exceedance"] else None,
        "annual_aqi_score": scores["annual-aqi"],
        "pfas_score": scores["pfas-mcl-screen"],
        "water_compliance_score": scores["water-compliance"],
    }


def _service_areas(systems: list[list[str]]) -> list[str]:
    """Return for each row its service area's smallest id. An area's ids are linked by rows with several ids."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows = np.repeat(np.arange(len(systems)), [len(ids) for ids in systems])
    codes, names = pd.factorize(np.array([name for ids in systems for name in ids]), sort=True)
    size = len(systems) + len(names)
    links = coo_matrix((np.ones(len(rows)), (rows, codes + len(systems))), shape=(size, size))
    _, areas = connected_components(links, directed=False)
    # Names are sorted, so an area's first is its smallest.
    first = dict(zip(reversed(areas[len(systems) :]), reversed(names), strict=True))
    return [str(first[area]) for area in areas[: len(systems)]]
