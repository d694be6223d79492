"""Drawing samples: which (plan), how (job), what is done already (ledger), and a look at them (sheets)."""
