"""The services around the models: ledger, storage, inference, results, delivery, triage."""
