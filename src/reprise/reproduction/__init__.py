"""Papers as data, the ledger of run records, verdicts with statistics, planning and the report."""
