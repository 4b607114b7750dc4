"""Gray releases: a snapshot is shown to some readers beside the live one, listened to, then promoted or aborted."""
