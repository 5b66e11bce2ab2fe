"""The other ends of the wire: a hospital and a registry, in memory, over real HTTP.

They import nothing of the store, the synchronisation or the submissions, so they share no mistake with them.
"""
