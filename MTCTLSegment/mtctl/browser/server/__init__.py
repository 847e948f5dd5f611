"""The server of the reviewer: who may connect, what a page may ask for, uploads."""
