"""What reviewers and deciders ask beside the WER: words of the domain, terms, entities, groups, consensus."""
