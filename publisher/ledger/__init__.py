"""Records, verdicts, receipts and snapshot branches in git."""
