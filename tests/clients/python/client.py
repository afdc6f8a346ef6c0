"""A client of the resource API with the `kubernetes` package: lists in pages, a watch that lives through a restart of
the controller, patches, server-side apply, conflicts and the bodies of errors.

It prints `restart` when the controller shall be killed and started again, and goes on when a line comes in.
The last line that it prints is `done`; else it says what was wrong and exits with 1.
"""

import json
import sys
import time

import urllib3
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException

KIND = ("horizon.dev", "v1alpha1", "default", "users")
# What must happen on two busy cores happens within this time.
PATIENCE_SECONDS = 60


def user(name, **spec):
    return {"apiVersion": "horizon.dev/v1alpha1", "kind": "User", "metadata": {"name": name}, "spec": spec}


def expect(what, found, wanted):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} and not {wanted!r}")


def refused(call, code, reason):
    """Makes a call that must be refused so; returns the `Status`."""
    try:
        call()
    except ApiException as error:
        status = json.loads(error.body)
        answer = (error.status, status["kind"], status["code"], status["reason"])
        expect("the answer", answer, (code, "Status", code, reason))
        return status
    raise AssertionError(f"what must be refused with {code} was taken")


def restart():
    print("restart", flush=True)
    if not sys.stdin.readline():
        raise AssertionError("the controller was not started again")


def check_lists(api):
    for name in ("alice", "bob", "carol"):
        api.create_namespaced_custom_object(*KIND, user(name, groups=["staff"]))
    whole = api.list_namespaced_custom_object(*KIND)
    expect("kind", whole["kind"], "UserList")
    expect("names", [item["metadata"]["name"] for item in whole["items"]], ["alice", "bob", "carol"])
    first = api.list_namespaced_custom_object(*KIND, limit=2)
    expect("the rest", first["metadata"]["remainingItemCount"], 1)
    second = api.list_namespaced_custom_object(*KIND, limit=2, _continue=first["metadata"]["continue"])
    expect("the second page", [item["metadata"]["name"] for item in second["items"]], ["carol"])
    expect("the end", second["metadata"].get("continue", ""), "")
    everywhere = api.list_cluster_custom_object(KIND[0], KIND[1], KIND[3], label_selector="team=none")
    expect("a selector that fits nobody", everywhere["items"], [])


def await_event(api, version, wanted):
    """Watches from a version until this event comes, over as many connections as it takes; returns its version."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    seen = []
    while time.monotonic() < deadline:
        try:
            # It raises on 410: what it saw must not expire.
            stream = watch.Watch().stream(
                api.list_namespaced_custom_object, *KIND, resource_version=version, timeout_seconds=5
            )
            for event in stream:
                meta = event["object"]["metadata"]
                version = meta["resourceVersion"]
                seen.append((event["type"], meta["name"], event["object"]["spec"].get("displayName")))
                if seen[-1] == wanted:
                    return version
        except urllib3.exceptions.HTTPError:
            time.sleep(0.2)
    raise AssertionError(f"{wanted} did not come, but {seen}")


def settled(api, name):
    """Waits until the controller told what it makes of an object; returns the version of the list by then."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        listed = api.list_namespaced_custom_object(*KIND)
        item = next(item for item in listed["items"] if item["metadata"]["name"] == name)
        if item.get("status", {}).get("observedGeneration") == item["metadata"]["generation"]:
            return listed["metadata"]["resourceVersion"]
        time.sleep(0.1)
    raise AssertionError(f"{name} has no status")


def check_watch(api):
    version = settled(api, "carol")
    api.patch_namespaced_custom_object(*KIND, "alice", {"spec": {"displayName": "before"}})
    version = await_event(api, version, ("MODIFIED", "alice", "before"))
    version = settled(api, "alice")
    restart()
    api.patch_namespaced_custom_object(*KIND, "alice", {"spec": {"displayName": "after"}})
    version = await_event(api, version, ("MODIFIED", "alice", "after"))
    api.delete_namespaced_custom_object(*KIND, "bob")
    await_event(api, version, ("DELETED", "bob", None))


def check_patches(api, users):
    # Custom objects are patched by merging. The dynamic client says how.
    merge = {"spec": {"maxDevices": 7, "displayName": None}}
    merged = api.patch_namespaced_custom_object(*KIND, "alice", merge)
    expect("a merge patch", merged["spec"], {"groups": ["staff"], "maxDevices": 7})
    steps = [
        {"op": "test", "path": "/spec/maxDevices", "value": 7},
        {"op": "add", "path": "/spec/groups/-", "value": "ops"},
    ]
    where = {"name": "alice", "namespace": "default"}
    patched = users.patch(body=steps, content_type="application/json-patch+json", **where)
    expect("a JSON patch", patched.to_dict()["spec"], {"groups": ["staff", "ops"], "maxDevices": 7})
    strategic = {"spec": {"maxDevices": 9}}
    refused(lambda: users.patch(body=strategic, **where), 415, "UnsupportedMediaType")
    dry = api.patch_namespaced_custom_object(*KIND, "alice", {"spec": {"maxDevices": 9}}, dry_run="All")
    expect("a dry run", dry["spec"]["maxDevices"], 9)
    expect("what is kept", api.get_namespaced_custom_object(*KIND, "alice")["spec"]["maxDevices"], 7)


def check_apply(users):
    expect("discovery", (users.name, users.namespaced, users.short_names), ("users", True, ["hu"]))

    def apply(manager, devices, **more):
        return users.server_side_apply(
            body=user("dave", maxDevices=devices), namespace="default", field_manager=manager, **more
        )

    apply("one", 2)
    status = refused(lambda: apply("two", 3), 409, "Conflict")
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".spec.maxDevices"}
    expect("causes", status["details"]["causes"], [cause])
    dave = apply("two", 3, force_conflicts=True)
    expect("managers", [entry.manager for entry in dave.metadata.managedFields], ["two"])


def check_errors(api):
    stale = api.get_namespaced_custom_object(*KIND, "alice")
    api.patch_namespaced_custom_object(*KIND, "alice", {"spec": {"displayName": "Alice"}})
    refused(lambda: api.replace_namespaced_custom_object(*KIND, "alice", stale), 409, "Conflict")
    refused(lambda: api.create_namespaced_custom_object(*KIND, user("alice")), 409, "AlreadyExists")
    status = refused(lambda: api.get_namespaced_custom_object(*KIND, "nobody"), 404, "NotFound")
    expect("details", status["details"], {"name": "nobody", "group": "horizon.dev", "kind": "users"})
    expect("message", status["message"], 'users.horizon.dev "nobody" not found')
    status = refused(lambda: api.create_namespaced_custom_object(*KIND, user("erin", maxDevices=5000)), 422, "Invalid")
    [cause] = status["details"]["causes"]
    expect("the place", (cause["reason"], cause["field"]), ("FieldValueInvalid", "spec.maxDevices"))
    expect("the words", cause["message"], "Invalid value: 5000: must be an integer from 1 to 1000")
    unknown = user("erin", colour="red")
    refused(lambda: api.create_namespaced_custom_object(*KIND, unknown, field_validation="Strict"), 400, "BadRequest")
    stranger = client.CustomObjectsApi(with_wrong_token())
    refused(lambda: stranger.list_namespaced_custom_object(*KIND), 401, "Unauthorized")


def with_wrong_token():
    settings = client.Configuration.get_default_copy()
    # The token that the kubeconfig names would come back with each request.
    settings.refresh_api_key_hook = None
    settings.api_key = {"authorization": "Bearer wrong"}
    return client.ApiClient(settings)


def main():
    config.load_kube_config()
    connection = client.ApiClient()
    api = client.CustomObjectsApi(connection)
    check_lists(api)
    check_watch(api)
    users = dynamic.DynamicClient(connection).resources.get(api_version="horizon.dev/v1alpha1", kind="User")
    check_patches(api, users)
    check_apply(users)
    check_errors(api)
    print("done", flush=True)


if __name__ == "__main__":
    main()
