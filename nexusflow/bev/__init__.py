"""UniAD-style bird's-eye-view model: cameras → BEV grid → tracking and mapping formers, with taps."""
