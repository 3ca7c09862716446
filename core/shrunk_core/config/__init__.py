"""Settings: frozen specs, grids of them, the strict TOML loader and the lab's own settings."""
