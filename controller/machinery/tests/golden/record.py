"""Records what a real API server answers: answers.json, discovery.json, openapi.json.

record.py URL TOKEN STRANGER   TOKEN may do everything, STRANGER is the token of a user `bob` who may do nothing.

The server needs our definitions, without x-kubernetes-validations (nothing that is recorded depends on them), and an
etcd that knows RequestWatchProgress (3.5.13 or later), without which no watch begins with the present state.
"""

import json
import pathlib
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request

URL, TOKEN, STRANGER = sys.argv[1:]
HERE = pathlib.Path(__file__).parent
GROUP = "/apis/horizon.dev/v1alpha1"
USERS = GROUP + "/namespaces/default/users"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TRUST = ssl._create_unverified_context()  # the server is on this machine, its certificate is of this run


def send(method, path, body=None, accept="", token=TOKEN, content_type="application/json", timeout=30):
    request = urllib.request.Request(URL + path, method=method, data=json.dumps(body).encode() if body else None)
    headers = {"Authorization": "Bearer " + token, "User-Agent": "recorder/1", "Content-Type": content_type}
    for name, value in (headers | ({"Accept": accept} if accept else {})).items():
        request.add_header(name, value)
    try:
        return urllib.request.urlopen(request, context=TRUST, timeout=timeout)
    except urllib.error.HTTPError as error:
        return error


def call(*request, **more):
    answer = send(*request, **more)
    text = answer.read().decode()
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    return answer.status, answer.headers.get("Content-Type"), body


def without(names, value):
    """Leaves out members; of descriptions only those that are texts, because a field may be called so too."""
    if isinstance(value, dict):
        gone = lambda name, inner: name in names and (name != "description" or isinstance(inner, str))
        return {name: without(names, inner) for name, inner in value.items() if not gone(name, inner)}
    return [without(names, inner) for inner in value] if isinstance(value, list) else value


def user(name, labels=None, **spec):
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "horizon.dev/v1alpha1", "kind": "User", "metadata": metadata, "spec": spec}


def write(name, document):
    """One entry a line, so that a difference can be read."""
    line = lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    parts = []
    for key, value in document.items():
        if isinstance(value, list):
            text = "[\n" + ",\n".join(map(line, value)) + "\n]"
        elif isinstance(value, dict):
            text = "{\n" + ",\n".join(json.dumps(k) + ":" + line(v) for k, v in value.items()) + "\n}"
        else:
            text = line(value)
        parts.append(json.dumps(key) + ":" + text)
    (HERE / name).write_text("{\n" + ",\n".join(parts) + "\n}\n")


BAD_QUERIES = """
labelSelector=a+b
labelSelector=a//b%3Dc
labelSelector=a+in+(x,y/z,u/v)
labelSelector=a%3Db,
labelSelector=,
labelSelector=!
labelSelector=!a%3Db
labelSelector=a+in+x
labelSelector=a+in+(x
labelSelector=a+in+(x,
labelSelector=a+in+(%3D
labelSelector=a%3D)
labelSelector=n%3Ex
labelSelector=-a
labelSelector=/b%3Dc
labelSelector=A.b/c
labelSelector=a%3Dvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv
labelSelector=kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
labelSelector=a%3D%3D%3Db
labelSelector=a!b
labelSelector=a+in+(,x)
labelSelector=a+in+(x+y)
fieldSelector=spec.x%3D1
fieldSelector=x
fieldSelector=a%3Db%3Dc
fieldSelector=a%3Db%5Cc
fieldSelector=metadata.name%3Db%5C
limit=abc
limit=
limit=99999999999999999999
timeoutSeconds=x
resourceVersion=abc
resourceVersion=-1
resourceVersion=99999999
resourceVersion=99999999&resourceVersionMatch=Exact
resourceVersionMatch=Exact
resourceVersionMatch=Foo&resourceVersion=1
resourceVersionMatch=Exact&resourceVersion=0
resourceVersion=0&resourceVersionMatch=NotOlderThan&continue=TOKEN
resourceVersion=1&continue=TOKEN
sendInitialEvents=true
watch=1&resourceVersionMatch=NotOlderThan
watch=1&sendInitialEvents=true
watch=1&sendInitialEvents=true&resourceVersionMatch=Exact
watch=1&resourceVersionMatch=NotOlderThan&sendInitialEvents=false&continue=x
""".split()

GOOD_QUERIES = """
labelSelector=team%3Da
labelSelector=team+in+(a,b),tier
labelSelector=!team
labelSelector=team+notin+(a)
labelSelector=tier%3E0
fieldSelector=metadata.name%3Dbob
fieldSelector=metadata.name!%3Dbob,metadata.namespace%3Ddefault
labelSelector=team%3Da&limit=1
resourceVersion=0
resourceVersion=VERSION&resourceVersionMatch=NotOlderThan
""".split()

BAD_WRITES = ["dryRun=None", "fieldValidation=x", "fieldManager=" + "m" * 129, "dryRun=x&fieldValidation=y"]

WATCHES = ["", *"""
allowWatchBookmarks=true
resourceVersion=VERSION
resourceVersion=0
resourceVersion=1
resourceVersion=VERSION&labelSelector=team%3Da
labelSelector=team%3Da&allowWatchBookmarks=true
resourceVersion=VERSION&fieldSelector=metadata.name%3Dbob
sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true
sendInitialEvents=true&resourceVersionMatch=NotOlderThan
sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true
resourceVersion=99999999&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true
resourceVersion=VERSION&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true
""".split()]


def record_answers():
    for name in ["alice", "bob", "carol", "dora", "dave"]:
        call("DELETE", f"{USERS}/{name}")
    people = [
        user("alice", {"team": "a", "tier": "1"}, groups=["staff", "admins"]),
        user("bob", {"team": "b"}, disabled=True),
        user("carol"),
        user("dora", {"team": "a"}, groups=["staff"]),
    ]
    for person in people:
        call("POST", USERS, person)
    time.sleep(0.5)
    answers = []

    def ask(path, method="GET", accept="", **more):
        code, content_type, body = call(method, path, accept=accept, **more)
        body = without(["managedFields"], body)
        asked = {"method": method, "path": path, "accept": accept}
        answers.append(asked | {"code": code, "contentType": content_type, "body": body})
        return body

    whole = ask(USERS)
    version = whole["metadata"]["resourceVersion"]
    token = ask(USERS + "?limit=2")["metadata"]["continue"]
    ask(f"{USERS}?limit=2&continue={token}")
    for query in GOOD_QUERIES + BAD_QUERIES:
        ask(f"{USERS}?{query}".replace("VERSION", version).replace("TOKEN", token))
    ask(USERS, accept="application/vnd.x")
    ask(USERS, accept="application/json;as=Table;v=v9;g=meta.k8s.io")
    ask(USERS + "?watch=1", accept="application/yaml")
    ask(USERS + "?includeObject=Bad", accept=TABLE)
    ask(USERS, accept=METADATA)
    for query in BAD_WRITES:
        ask(f"{USERS}?{query}", "POST", body=user("zed"))
    ask(USERS + "/nobody")
    for path in [USERS + "/nobody", USERS, GROUP + "/users", "/metrics", USERS + "/alice/status"]:
        ask(path, token=STRANGER)
    ask(USERS, token="nonsense")
    ask(USERS + "/alice", "POST", body=user("alice"))
    ask(USERS, "PUT", body=user("alice"))
    for query in ["", "?includeObject=None", "?includeObject=Object", "?limit=2"]:
        ask(USERS + query, accept=TABLE)
    ask(USERS + "/alice", accept=TABLE)
    ask(USERS + "/alice", accept=METADATA)
    ask(USERS + "?limit=1", accept=METADATA.replace("Metadata;", "MetadataList;"))
    ask(USERS, accept=TABLE.replace("v=v1", "v=v1beta1"))
    watches = record_watches(version)
    objects = without(["managedFields"], whole["items"])
    write("answers.json", {"answers": answers, "objects": objects, "version": version, "watches": watches})


def record_watches(version):
    watches = {}

    def listen(query, accept=""):
        answer = send("GET", f"{USERS}?watch=1&timeoutSeconds=6&{query}", accept=accept)
        lines = [without(["managedFields"], json.loads(line)) for line in answer]
        watches[f"{query} {accept}" if accept else query] = lines

    asked = [(query.replace("VERSION", version),) for query in WATCHES]
    asked += [("resourceVersion=0&allowWatchBookmarks=true", TABLE), ("resourceVersion=0", METADATA)]
    threads = [threading.Thread(target=listen, args=arguments) for arguments in asked]
    for thread in threads:
        thread.start()
    time.sleep(2)
    call("POST", USERS, user("dave", {"team": "a"}))
    label = lambda team: {"metadata": {"labels": {"team": team}}}
    for change in [label("a"), {"spec": {"disabled": False}}, label("c"), label("d")]:
        call("PATCH", USERS + "/bob", change, content_type="application/merge-patch+json")
    call("DELETE", USERS + "/alice")
    call("DELETE", USERS + "/bob")
    for thread in threads:
        thread.join()
    return watches


BESIDE = {
    "": ["namespaces", "events", "secrets"],
    "authorization.k8s.io": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    "authentication.k8s.io": ["selfsubjectreviews"],
    "events.k8s.io": ["events"],
    "apiextensions.k8s.io": ["customresourcedefinitions"],
}


def document(path, accept=""):
    return call("GET", path, accept=accept)[2]


def record_discovery():
    aggregated = []
    for item in document("/api", DISCOVERY)["items"] + document("/apis", DISCOVERY)["items"]:
        name = item["metadata"].get("name", "")
        if name != "horizon.dev" and name not in BESIDE:
            continue
        for version in item["versions"]:
            kept = lambda resource: name == "horizon.dev" or resource["resource"] in BESIDE[name]
            version["resources"] = [resource for resource in version["resources"] if kept(resource)]
        item["versions"] = [version for version in item["versions"] if version["resources"]][:1]
        item["metadata"].pop("creationTimestamp", None)
        aggregated.append(item)
    group, resources = document("/apis/horizon.dev"), document(GROUP)["resources"]
    write("discovery.json", {"group": group, "resources": resources, "aggregated": aggregated})


KINDS = ["User", "UserList", "Network", "Server", "RegistrationKey", "AccessPolicy"]
KNOWN = """
Namespace NamespaceList NamespaceSpec NamespaceStatus NamespaceCondition Secret SecretList Event EventList EventSource
EventSeries ObjectReference SelfSubjectAccessReview SelfSubjectAccessReviewSpec SubjectAccessReviewStatus
ResourceAttributes NonResourceAttributes SelfSubjectRulesReview SelfSubjectRulesReviewSpec SubjectRulesReviewStatus
ResourceRule NonResourceRule SelfSubjectReview SelfSubjectReviewStatus UserInfo MicroTime LabelSelectorAttributes
FieldSelectorAttributes LabelSelectorRequirement FieldSelectorRequirement
""".split()


def names(parameters):
    return sorted(p.get("name") or p["$ref"].split("/")[-1].split("-")[0] for p in parameters)


def operations(openapi):
    """Of our users: parameters by name, answers not at all."""
    found = {}
    for path, methods in openapi["paths"].items():
        if "horizon.dev" not in path or "/users" not in path or "/watch/" in path:
            continue
        found[path] = {}
        for method, operation in methods.items():
            if method == "parameters":
                found[path][method] = names(operation)
                continue
            short = without(["description", "responses"], operation)
            if "parameters" in operation:
                short["parameters"] = names(operation["parameters"])
            found[path][method] = short
    return found


def record_openapi():
    v3, v2 = document("/openapi/v3" + GROUP), document("/openapi/v2")
    ours = ["dev.horizon.v1alpha1." + kind for kind in KINDS]
    bare = lambda schema: without(["description"], schema)
    schemas = v3["components"]["schemas"]
    meta = {
        name: {member: bare(inner) for member, inner in schema.get("properties", {}).items()}
        for name, schema in schemas.items()
        if "apis.meta.v1" in name
    }
    beside = {}
    for path in ["/api/v1"] + [f"/apis/{group}/v1" for group in BESIDE if group]:
        for name, schema in document("/openapi/v3" + path)["components"]["schemas"].items():
            if name.split(".")[-1] in KNOWN:
                beside[name] = bare(schema)
    write("openapi.json", {
        "v3": {name: bare(schemas[name]) for name in ours},
        "v3paths": operations(v3),
        "v2": {name: bare(v2["definitions"][name]) for name in ours},
        "v2paths": operations(v2),
        "meta": meta,
        "beside": beside,
    })


record_answers()
record_discovery()
record_openapi()
