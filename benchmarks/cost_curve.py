"""What masked language modelling costs here: tokens/s over batch, window length and size of the model.

    python benchmarks/cost_curve.py              # under eight minutes on two cores
    python benchmarks/cost_curve.py --tokens-per-step 65536    # for a GPU

The first table has models of 1 to 100 million parameters (one row each) on windows of 128 to 1,024 tokens, with as many
windows per step as make up --tokens-per-step; a cell is tokens/s. Its last column is a calculation, not a measurement:
the time that SpliceBERT's published pre-training budget of 65 billion nucleotides would take at the measured speed with
windows of 512 tokens. The second table has SpliceBERT's model at 512 tokens in batches of several sizes. Each cell is
one run in a fresh process, so that differences of a few per cent mean nothing; one during which other processes took
more than 5 % of the processor is marked with *.
"""

import argparse

from one_side import GIB, Measured, Work, device_name, run_side

BUDGET = 65e9  # nucleotides, as the model card of SpliceBERT states
LENGTHS = (128, 256, 512, 1024)
BATCHES = (2, 8, 32)
SIZES: tuple[tuple[str, dict[str, int]], ...] = (
    ("5 × 128", {"layers": 5, "hidden": 128, "heads": 4, "intermediate": 512}),
    ("6 × 256", {"layers": 6, "hidden": 256, "heads": 8, "intermediate": 1024}),
    ("6 × 512, SpliceBERT's", {}),
    ("14 × 768", {"layers": 14, "hidden": 768, "heads": 12, "intermediate": 3072}),
)
_PUBLISHED = 512  # tokens per window
_SPECIAL = 2  # of them are no nucleotides
_DAY = 24 * 3600
_QUIET = 0.05  # share of the processor that may go to others


def main() -> None:
    """Print two tables."""
    options = _options()
    print(f"{device_name()}; masked language modelling, {options.tokens_per_step:,} tokens per step\n")
    print(
        "| model | parameters of the encoder | " + " | ".join(f"{length:,} tokens" for length in options.lengths),
        end="",
    )
    print(
        f" | calculated: 65 billion nt in windows of {_PUBLISHED} |\n|---|---" + "|---" * len(options.lengths) + "|---|"
    )
    for name, size in SIZES[: options.sizes]:
        print(_row(name, size, options), flush=True)
    print("\n| batch of 512 tokens each | tokens/s | peak memory, GiB |\n|---|---|---|")
    for batch in options.batches:
        measured = run_side("engine", "mlm", Work(batch=batch, warmup=1, steps=options.steps))
        print(f"| {batch} | {_rate(_PUBLISHED, measured)} | {measured.peak / GIB:.1f} |", flush=True)


def _row(name: str, size: dict[str, int], options: argparse.Namespace) -> str:
    rates, parameters, calculated = [], 0, "–"
    for length in options.lengths:
        work = Work(
            **size, tokens=length, batch=max(2, options.tokens_per_step // length), warmup=1, steps=options.steps
        )
        measured = run_side("engine", "mlm", work)
        rates.append(_rate(length, measured))
        parameters = measured.parameters
        if length == _PUBLISHED:
            calculated = f"{BUDGET / (length - _SPECIAL) * measured.seconds / _DAY:,.0f} days"
    return f"| {name} | {parameters:,} | {' | '.join(rates)} | {calculated} |"


def _rate(tokens: int, measured: Measured) -> str:
    """Tokens/s, marked if others disturbed it."""
    return f"{tokens / measured.seconds:,.0f}{'*' if measured.others > _QUIET else ''}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tokens/s of masked language modelling over batch, length and size.")
    parser.add_argument("--tokens-per-step", type=int, default=4096, help="in the first table (4096)")
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, help="tokens per window")
    parser.add_argument("--sizes", type=int, default=len(SIZES), help="how many models, from the smallest")
    parser.add_argument("--batches", nargs="*", type=int, default=BATCHES, help="of the second table")
    parser.add_argument("--steps", type=int, default=2, help="steps that count in each process")
    return parser.parse_args()


if __name__ == "__main__":
    main()
