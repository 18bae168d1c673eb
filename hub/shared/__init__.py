"""Parts that several dialects share: parameters of lists, files of forms, proofs of sessions, offers of uploads."""
