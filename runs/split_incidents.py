"""Give the tables with labelled anomalies their groups and sides: src/firstsight/datasets/incidents.json.

    python runs/split_incidents.py

Every table of ADBench, OddBench, OvRBench and KEEL is fingerprinted (about a minute). ADBench is for testing, all of
it; other tables of a group with one of ADBench go aside. OddBench is dealt by group about 60/20/20 into train,
validate and test. Groups of OvRBench and KEEL follow the table of OddBench they are alike to (aside for one of the
test side), or are for training.
"""

import argparse
import json
from pathlib import Path

from tqdm import tqdm

from firstsight.datasets import incidents
from firstsight.datasets.fingerprints import fingerprint
from firstsight.datasets.splits import families, groups, split_groups


def sides_of(group_of: dict[str, str], seed: int) -> dict[str, str]:
    """Name to side."""
    tested = {group for name, group in group_of.items() if name.startswith("adbench/")}
    tested |= {group_of[name] for name in incidents.ALIKE_TO_ABSENT if name in group_of}
    dealt = {n: group for n, group in group_of.items() if n.startswith("oddbench/") and group not in tested}
    side_of_group = {
        dealt[name]: side
        for side, names in zip(("train", "validate", "test"), split_groups(dealt, seed=seed), strict=True)
        for name in names
    }
    sides = {}
    for name, group in group_of.items():
        collection, side = name.split("/")[0], side_of_group.get(group, "train")
        if collection == "adbench":
            side = "test"
        elif group in tested or (side == "test" and collection != "oddbench"):
            side = "aside"
        sides[name] = side
    return sides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the order in which groups are dealt out")
    parser.add_argument("--out", type=Path, default=incidents.SPLIT)
    args = parser.parse_args()
    prints, left_out = {}, {}
    for name in tqdm(incidents.candidates(), disable=None):
        X, y = incidents.read_candidate(name)
        if reason := incidents.why_left_out(name, y):
            left_out[name] = reason
        # Those left out are fingerprinted, too: two tables may be alike through one of them.
        prints[name] = fingerprint(X)
    group_of = groups(prints, families=[*families(prints), *incidents.DECLARED_ALIKE])
    group_of = {name: group for name, group in group_of.items() if name not in left_out}
    sides = sides_of(group_of, args.seed)

    # A table a line, so that a difference between two versions can be read.
    lines = [f"    {json.dumps(name)}: {json.dumps([group_of[name], sides[name]])}" for name in sorted(group_of)]
    reasons = [f"    {json.dumps(name)}: {json.dumps(left_out[name])}" for name in sorted(left_out)]
    head = f'{{\n  "made_by": "runs/split_incidents.py",\n  "seed": {args.seed},\n'
    bodies = ('  "left_out": {\n', ",\n".join(reasons), '\n  },\n  "tables": {\n', ",\n".join(lines), "\n  }\n}\n")
    args.out.write_text(head + "".join(bodies))
    for collection in incidents.COLLECTIONS:
        counts = {
            side: sum(where == side for name, where in sides.items() if name.startswith(f"{collection}/"))
            for side in incidents.SIDES
        }
        n_left_out = sum(name.startswith(f"{collection}/") for name in left_out)
        print(f"{collection:9} {counts} left out {n_left_out}")


if __name__ == "__main__":
    main()
