"""The threads of one connection: opening it, reading and draining it, keeping its deadlines, ending it once."""
