import re

from tests.serve.pages.browser import *
from tests.serve.pages.conftest import *


def test_all(desk, town, diagnosis, proof):
    sid = re.search(r"/ui/drills/([^\"]+)", desk.http.get("/ui/drills").text).group(1)
    run = desk.http.get("/runs/" + town.broken).json()
    bad = run["cases"][0]["trace_id"]
    good = run["cases"][8]["trace_id"]
    desk.http.get("/ui/reviews")
    import os

    tok = re.search(r'name="token" value="([^"]+)"', desk.http.get("/ui/reviews").text).group(1)
    r = desk.http.post("/ui/reviews/draw", data={"token": tok, "collection": "default"})
    print("draw", r.status_code, r.text[:200])
    r = desk.http.post(f"/ui/incidents/{town.incident}/prove", data={"token": tok})
    print(r.status_code, r.headers.get("location"))
    job = r.headers["location"].split("/")[-1]
    print(
        desk.http.get(f"/jobs/{job}?wait=60").json()["state"],
        str(desk.http.get(f"/jobs/{job}").json())[:1500],
    )
    pages = {
        "health": "/ui",
        "incidents": "/ui/incidents",
        "incident": "/ui/incidents/" + town.incident,
        "reviews": "/ui/reviews",
        "prove": "/ui/diagnosis/" + job,
    }
    pages0 = {
        "traces": "/ui/traces",
        "hostile": "/ui/traces/" + town.hostile_trace,
        "bad": "/ui/traces/" + bad,
        "good": "/ui/traces/" + good,
        "runs": "/ui/runs",
        "run": "/ui/runs/" + town.broken,
        "compare": f"/ui/compare?before={town.healthy}&after={town.broken}",
        "diagnoses": "/ui/diagnosis",
        "diagnosis": "/ui/diagnosis/" + diagnosis,
        "fix": "/ui/diagnosis/" + proof,
        "ask": "/ui/ask?q=hi",
        "drills": "/ui/drills",
        "drill": "/ui/drills/" + sid,
        "playbook": "/ui/playbook",
        "login": "/ui/login",
        "error": "/ui/traces/zzz",
    }
    with launched() as b:
        for scheme, size, tag in (("light", WIDE, "l"), ("dark", WIDE, "d"), ("light", PHONE, "p")):
            for n, u in pages.items():
                try:
                    with opened(b, scheme=scheme, size=size) as p:
                        p.goto(desk.url + u)
                        if n == "ask":
                            p.fill("textarea", "What does a resident parking permit for Elm Park cost?")
                            p.click("text=Ask >> nth=-1") if 0 else p.press("textarea", "Control+Enter")
                            p.wait_for_selector("#state a")
                        p.screenshot(path=f"/tmp/wtpages/{n}-{tag}.png", full_page=(tag != "x"))
                        v = violations(p)
                        if v:
                            print(n, tag, v)
                        w = p.evaluate("document.documentElement.scrollWidth")
                        if w > size[0]:
                            print(n, tag, "too wide", w)
                        assert p.title() != "owned"
                except AssertionError as e:
                    print(n, tag, "ERR", str(e)[:500])
