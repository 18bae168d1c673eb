"""One adapter on the base: run, measured at other strengths and on earlier rows, and used."""
