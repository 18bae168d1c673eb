"""What a set of files holds, and where; what names of bases, licenses, tokens and architectures mean."""
