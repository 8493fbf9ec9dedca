"""The ledger: Postgres rows for what arrived, was decided, found and sent. All SQL lives here, a module a stage."""
