"""A visit to the app as a browser makes it: cookies are kept, forms carry the page's token."""

import re
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

PASSWORD = "seven unlikely teapots"

JSON = {"Accept": "application/json"}


class Visit:
    """A client, logged in unless the name is empty."""

    def __init__(self, app: FastAPI, name: str, password: str = PASSWORD) -> None:
        self.client = TestClient(app, follow_redirects=False, raise_server_exceptions=False)
        self.csrf = ""
        if name:
            answer = self.log_in(name, password)
            assert answer.status_code == 200, answer.text
            self.csrf = answer.json()["csrf"]

    def log_in(self, name: str, password: str) -> Any:
        page = self.client.get("/login").text
        token = re.search(r'name="csrf" value="([^"]+)"', page)
        assert token is not None
        return self.client.post(
            "/login",
            data={"csrf": token[1], "name": name, "password": password},
            headers=JSON,
        )

    def get(self, address: str, **more: Any) -> Any:
        return self.client.get(address, **more)

    def json(self, address: str) -> Any:
        answer = self.client.get(address, headers=JSON)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, address: str, values: dict[str, Any] | None = None, **more: Any) -> Any:
        """Send JSON with the session's token, and take JSON."""
        headers = {**JSON, "X-CSRF-Token": self.csrf}
        return self.client.post(address, json=values or {}, headers=headers, **more)

    def form(self, address: str, values: dict[str, Any] | None = None, **more: Any) -> Any:
        """Send a form as the page has it."""
        data = {"csrf": self.csrf, **(values or {})}
        return self.client.post(address, data=data, **more)
