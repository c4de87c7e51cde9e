"""Tokenizers, vocabularies and the token arrays that training reads."""
