"""Alerts: who gets which, their sentences, and how they reach people; letters about accounts."""
