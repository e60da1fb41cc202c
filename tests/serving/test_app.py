"""Mirrors src/geotether/serving/app.py."""


def test_health_and_unknown_addresses(client):
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.headers["x-content-type-options"] == "nosniff"
    missing = client.get("/nothing")
    assert missing.status_code == 404
    assert set(missing.json()["detail"]) == {"error"}
    assert "unsafe-inline" not in missing.headers["content-security-policy"]
