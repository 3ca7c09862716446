"""The two faces of the engine: the terminal UI and the headless commands."""
