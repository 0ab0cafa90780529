"""What a cloud holds, asked of its own API: a line per resource, `kind name`, sorted. `world.py AUTH_URL`"""
import json
import sys
import urllib.request


def call(url, body=None, token=None):
    headers = {"Content-Type": "application/json"} | ({"X-Auth-Token": token} if token else {})
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.headers, json.load(answer)


user = {"name": "demo", "password": "let-me-in", "domain": {"name": "Default"}}
scope = {"project": {"name": "demo", "domain": {"name": "Default"}}}
auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
headers, body = call(sys.argv[1] + "/auth/tokens", auth)
token = headers["X-Subject-Token"]
at = {it["type"]: next(e["url"] for e in it["endpoints"] if e["interface"] == "public") for it in body["token"]["catalog"]}
project = body["token"]["project"]["id"]


def service(*types):
    return next(at[it] for it in types if it in at).rstrip("/")


network, image = (service(it).removesuffix("/v2.0").removesuffix("/v2") for it in ("network", "image"))
collections = {
    "server": service("compute") + "/servers/detail",
    "keypair": service("compute") + "/os-keypairs",
    "volume": service("block-storage", "volumev3") + "/volumes/detail",
    "image": image + "/v2/images?owner=" + project,
    "network": network + "/v2.0/networks?project_id=" + project,
    "subnet": network + "/v2.0/subnets?project_id=" + project,
    "port": network + "/v2.0/ports?project_id=" + project,
    "router": network + "/v2.0/routers?project_id=" + project,
    "security_group": network + "/v2.0/security-groups?project_id=" + project,
    "floatingip": network + "/v2.0/floatingips?project_id=" + project,
}
names = []
for kind, url in collections.items():
    _, body = call(url, token=token)
    items = next(value for value in body.values() if isinstance(value, list))
    items = [it.get("keypair", it) for it in items]
    for it in items:
        address = "".join(ip["ip_address"] for ip in it.get("fixed_ips", [])) or it.get("floating_ip_address", "")
        names.append(f"{kind} {it.get('name') or address}")
print("\n".join(sorted(names)))
