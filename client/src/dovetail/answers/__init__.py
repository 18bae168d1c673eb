"""Answers of a hub's REST interface: one record each, from which the hub makes its JSON and its OpenAPI document."""
