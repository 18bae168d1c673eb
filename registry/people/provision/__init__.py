"""An operator's file of people, organisations and settings, and how it is applied."""
