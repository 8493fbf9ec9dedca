"""Which version of a model serves: evidence from shadows, a policy, promotion and rollback."""
