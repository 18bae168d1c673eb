"""`make drill`: provokes each alarm of deploy/prometheus/alerts.yml on a running hub, and waits for real Prometheus."""
