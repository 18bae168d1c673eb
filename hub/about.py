"""The version of the hub and the port it listens on by default; imports nothing, so that ops can read it too."""

VERSION = "0.1.0"
PORT = 8070
