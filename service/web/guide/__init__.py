"""The guide to the profiles under /ig, made from the compiled resources."""
