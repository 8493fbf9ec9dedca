"""OHIF beside our own pages: fetched once by a command, verified, served below a path of its own."""
