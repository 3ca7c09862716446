"""Plans grids and runs them: the supervisor, its workers, and the client that commands and screens talk through."""
