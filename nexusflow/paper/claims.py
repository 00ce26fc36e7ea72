"""The ledger of claims: what the paper says, what its numbers allow, what ours say, with the verdict.

Verdicts: "impossible as printed" where the paper's own numbers or wording rule the claim out; "not run
at this scale" without a seed; "within noise" with fewer than three seeds or an interval that decides
nothing; else "reproduced" or "not reproduced". Intervals are not corrected for the number of comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nexusflow.core.files import sha256_json, write_text
from nexusflow.paper.claims_config import (
    Claim,
    ClaimsConfig,
    EqualClaim,
    FeaturesClaim,
    OrderClaim,
    StaysClaim,
    load_claims,
)
from nexusflow.paper.claims_printed import contradiction, printed_cell, printed_effect, printed_numbers
from nexusflow.paper.claims_statistics import (
    VERDICTS,
    Effect,
    Verdict,
    combine,
    judge,
    measure,
    resampled_interval,
)
from nexusflow.paper.claims_values import (
    ClaimFiles,
    LabelKey,
    RunKey,
    RunValues,
    first_and_last,
    read_analysis,
    read_mmd,
    read_resampled,
    read_values,
    runs_of_labels,
)
from nexusflow.paper.config import PaperConfig
from nexusflow.paper.published import metric_info
from nexusflow.paper.rows import TableContext
from nexusflow.paper.tables import markdown_grid, write_csv

__all__ = ["build_ledger", "claims_markdown", "write_claims"]


class _Ours:
    """Our numbers by label; every run is read once."""

    def __init__(
        self, files: ClaimFiles, runs: Mapping[LabelKey, RunKey], contexts: Mapping[str, TableContext]
    ) -> None:
        self.files, self.runs, self.contexts = files, runs, contexts
        self.read: dict[RunKey, RunValues] = {}
        self.logs_read: set[str] = set()

    def of(self, table: str, block: str | None, label: str) -> RunValues:
        """Numbers of a label; empty where no run, or no suite of this scale, stands behind it."""
        key = self.runs.get((table, block, label))
        if key is None or key[0] not in self.contexts:
            return RunValues()
        if key not in self.read:
            context = self.contexts[key[0]]
            metrics = read_values(self.files.metrics.get(key, ()), key, context)
            mmd = read_mmd(self.files.mmd.get(key, {}), key, context.scale, load_claims().mmd)
            again = read_resampled(self.files.resampled.get(key, {}), key, context.scale)
            self.read[key] = metrics | mmd | again
        return self.read[key]

    def ends(self, claim: StaysClaim) -> tuple[RunValues, RunValues]:
        """First and last logged values of a claim's run; empty where it left no log."""
        key = self.runs.get((claim.table, None, claim.label))
        start, end = first_and_last(self.files.logs.get(key, {}) if key else {}, claim.column)
        self.logs_read |= set(start.hashes)
        return start, end

    def features(self, claim: FeaturesClaim, label: str) -> RunValues:
        """What an analysis measured of a run; empty where it did not."""
        if claim.suite not in self.contexts:
            return RunValues()
        run = claim.order[label]
        paths = self.files.features.get((claim.analysis, claim.suite, run), {})
        values = read_analysis(paths, claim, run, self.contexts[claim.suite].scale)
        self.logs_read |= set(values.hashes)
        return values

    def data(self, claim: Claim) -> str:
        """Data of the runs behind a claim; empty where the printed words alone are judged."""
        if isinstance(claim, FeaturesClaim):
            return self.contexts[claim.suite].data if claim.suite in self.contexts else ""
        if not isinstance(claim, OrderClaim | EqualClaim | StaysClaim):
            return ""
        block = None if isinstance(claim, StaysClaim) else claim.block
        suites = {run[0] for key, run in self.runs.items() if key[:2] == (claim.table, block)}
        return "; ".join(self.contexts[suite].data for suite in sorted(suites & set(self.contexts)))

    @property
    def sha256(self) -> str:
        """Hash over the hashes of all files that were read."""
        metrics = {value for run in self.read.values() for value in run.hashes}
        return sha256_json(sorted(metrics | self.logs_read))


def _threshold(claim: OrderClaim, first: str, second: str, metric: str) -> float:
    """Effect that ours must exceed: a share of the printed one."""
    cells = [printed_cell(claim.table, claim.block, label, metric) for label in (first, second)]
    printed = printed_effect(cells[0], cells[1], claim.effect)
    if printed is None or claim.share == 0:
        return 0.0
    return claim.share * (math.log(printed) if claim.effect == "ratio" else float(printed))


def _part(metric: str, first: str, second: str, effect: Effect, low: float, high: float) -> dict[str, Any]:
    """One comparison as a record."""
    interval = effect.interval or (None, None)
    return {
        "metric": metric,
        "first": first,
        "second": second,
        "n": len(effect.seeds),
        "seeds": " ".join(map(str, effect.seeds)),
        "first mean": effect.first[0],
        "first std": effect.first[1],
        "second mean": effect.second[0],
        "second std": effect.second[1],
        "effect mean": effect.mean,
        "effect std": effect.std,
        "interval low": interval[0],
        "interval high": interval[1],
        "claimed above": low,
        "claimed below": high,
        "verdict": judge(effect, low, high),
    }


def _spread(interval: tuple[float, float] | None) -> dict[str, Any]:
    """Interval over resampled images or scenes, which belongs to these seeds."""
    low, high = interval or (None, None)
    return {"resampled low": low, "resampled high": high}


def _parts(claim: Claim, ours: _Ours, confidence: float) -> list[dict[str, Any]]:
    """Make every comparison of a claim."""
    found: list[dict[str, Any]] = []
    if isinstance(claim, OrderClaim | EqualClaim):
        pairs = claim.pairs if isinstance(claim, OrderClaim) else [claim.labels]
        metrics = claim.metrics if isinstance(claim, OrderClaim) else tuple(claim.tolerance)
        ratio = claim.effect == "ratio"
        for first, second in pairs:
            left, right = (ours.of(claim.table, claim.block, label) for label in (first, second))
            for metric in metrics:
                up = metric_info(metric).direction == "up"
                effect = measure(left.of(metric), right.of(metric), up, ratio, confidence)
                draws = (left.resampled.get(metric, {}), right.resampled.get(metric, {}))
                spread = None if ratio else resampled_interval(*draws, up, confidence)
                if isinstance(claim, OrderClaim):
                    low, high = _threshold(claim, first, second, metric), math.inf
                else:
                    high = math.log1p(claim.tolerance[metric]) if ratio else claim.tolerance[metric]
                    low = -high
                part = _part(metric, first, second, effect, low, high)
                found.append(part | _spread(spread))
    elif isinstance(claim, FeaturesClaim):
        for first, second in claim.pairs:
            more, less = (ours.features(claim, label).of(claim.value) for label in (first, second))
            effect = measure(more, less, True, confidence=confidence)
            found.append(_part(claim.value.replace("_", " "), first, second, effect, 0.0, math.inf))
    elif isinstance(claim, StaysClaim):
        start, end = ours.ends(claim)
        effect = measure(end.of(claim.column), start.of(claim.column), True, True, confidence)
        found.append(
            _part(claim.column, "last value", "first value", effect, math.log(claim.share), math.inf)
        )
    return found


def _tolerance(claim: Claim, confidence: float) -> str:
    """Say what was fixed beforehand."""
    if isinstance(claim, OrderClaim):
        size = f"above {claim.share:g} of the printed effect" if claim.share else "above zero"
        return f"{confidence:.0%} interval of the paired {claim.effect} {size}, in every comparison"
    if isinstance(claim, EqualClaim):
        limits = ", ".join(f"{name} ±{value:g}" for name, value in claim.tolerance.items())
        return f"{confidence:.0%} interval of the paired {claim.effect} within {limits}"
    if isinstance(claim, FeaturesClaim):
        return f"{confidence:.0%} interval of the paired difference above zero, in every comparison"
    if isinstance(claim, StaysClaim):
        return f"{confidence:.0%} interval of last over first value above {claim.share:g}"
    return ""


def _ours_text(parts: Sequence[Mapping[str, Any]]) -> str:
    """Write our means and spreads, and the interval of the effect."""

    def number(value: float | None, std: float | None) -> str:
        return f"{value:.4g}" + ("" if std is None else f" ± {std:.2g}")

    texts = []
    for part in parts:
        if part["n"]:
            pair = " : ".join(
                number(part[f"{side} mean"], part[f"{side} std"]) for side in ("first", "second")
            )
            low, high = part["interval low"], part["interval high"]
            span = "" if low is None else f" [{low:+.3g} … {high:+.3g}]"
            if part.get("resampled low") is not None:
                span += f" {{{part['resampled low']:+.3g} … {part['resampled high']:+.3g}}}"
            texts.append(f"{part['metric']} ({part['first']} : {part['second']}) {pair}{span}")
    return "; ".join(texts)


def _note(claim: Claim, against: str | None, parts: Sequence[Mapping[str, Any]]) -> str:
    counts = [part["n"] for part in parts]
    few = bool(counts) and 0 < min(counts) < 3
    notes = [against, claim.note, getattr(claim, "reason", "") if not against else ""]
    notes.append("Fewer than three seeds decide nothing." if few else "")
    return " ".join(note for note in notes if note)


def build_ledger(
    paper: PaperConfig,
    files: ClaimFiles,
    contexts: Mapping[str, TableContext],
    claims: ClaimsConfig | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge every claim.

    Args:
        paper: content of config/paper.yaml: which run stands behind which printed row.
        files: result files that are there.
        contexts: suite → scale, data, seeds.
        claims: declarations; default: those of the package.

    Returns:
        One row per claim, and one row per comparison behind them.

    Raises:
        UserError: naming the file and key if a result file is malformed.
    """
    declared = claims or load_claims()
    ours = _Ours(files, runs_of_labels(paper, declared), contexts)
    ledger, details = [], []
    for claim in declared.claims:
        parts, against = _parts(claim, ours, declared.confidence), contradiction(claim)
        verdict: Verdict = combine([part["verdict"] for part in parts])
        ledger.append(
            {
                "id": claim.id,
                "where": claim.where,
                "statement": claim.statement,
                "paper": printed_numbers(claim),
                "test": claim.test,
                "tolerance": _tolerance(claim, declared.confidence),
                "seeds": min((part["n"] for part in parts), default=0),
                "ours": _ours_text(parts),
                "verdict": "impossible as printed" if against else verdict,
                "note": _note(claim, against, parts),
                "scale": next(iter(contexts.values())).scale,
                "data": ours.data(claim),
            }
        )
        details += [{"id": claim.id, **part} for part in parts]
    frame = pd.DataFrame.from_records(ledger).assign(**{"inputs sha256": ours.sha256})
    return frame, pd.DataFrame.from_records(details)


def claims_markdown(frame: pd.DataFrame, contexts: Mapping[str, TableContext]) -> str:
    """Write the ledger for people.

    Args:
        frame: first result of `build_ledger`.
        contexts: suite → scale, data, seeds.

    Returns:
        Markdown: how verdicts are reached, their counts, and one grid.
    """
    counts = frame["verdict"].value_counts()
    sources = "\n".join(f"* {suite}: {context.source()}" for suite, context in contexts.items())
    summary = "; ".join(f"{verdict}: {counts.get(verdict, 0)}" for verdict in VERDICTS)
    columns = ["where", "statement", "paper", "ours", "seeds", "verdict", "tolerance", "note"]
    rows = [[str(record[name]) for name in columns] for record in frame.to_dict("records")]
    return (
        "# Claims of the paper\n\n"
        f"{sources}\n\n{summary}.\n\n"
        "Ours: mean ± sample standard deviation over seeds, and the interval of the paired effect, "
        "positive where the first is better. A claim counts as reproduced only with three seeds or more "
        "and if every comparison holds; intervals in [ ] cover the variation between training seeds, those "
        "in { } the choice of validation images or scenes with these seeds (bootstrap, 200 resamples).\n\n"
        + markdown_grid([name.capitalize() for name in columns], rows, left=len(columns))
    )


def write_claims(
    paper: PaperConfig, files: ClaimFiles, contexts: Mapping[str, TableContext], folder: Path
) -> pd.DataFrame:
    """Judge every claim and write claims.csv, claims_parts.csv and claims.md.

    Args:
        paper: content of config/paper.yaml.
        files: result files that are there.
        contexts: suite → scale, data, seeds.
        folder: destination.

    Returns:
        The ledger, one row per claim.

    Raises:
        UserError: naming the file and key if a result file is malformed.
    """
    frame, details = build_ledger(paper, files, contexts)
    write_csv(folder / "claims.csv", frame)
    write_csv(folder / "claims_parts.csv", details)
    write_text(folder / "claims.md", claims_markdown(frame, contexts))
    return frame
