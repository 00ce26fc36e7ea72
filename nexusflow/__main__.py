"""`nexusflow` and `python -m nexusflow`: the pipeline's commands, or what to install for them."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; where only the library is installed, say what the command line needs."""
    try:
        from nexusflow.cli import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("nexusflow"):
            raise
        raise SystemExit(
            f"error: {error.name} is not installed; the command line needs it: "
            "pip install '.[pipeline,nuscenes]' in a checkout"
        ) from None
    run()


if __name__ == "__main__":
    main()
