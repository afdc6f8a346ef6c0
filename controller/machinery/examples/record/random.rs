//! Random steps: values that fit a schema, and the writes that carry them.

use horizon_machinery::definition::Definition;
use horizon_planner::schema::{ListType, Schema, Type};
use serde_json::{Map, Value, json};

use super::play::{HEAD, HEAD_NAME};

/// A seeded generator (xorshift64*): the same seed gives the same sequence.
pub(crate) struct Random {
    state: u64,
    /// Every twelfth sequence has more managers than an object keeps.
    is_crowded: bool,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, is_crowded: seed.is_multiple_of(12) }
    }

    /// Returns how many steps a sequence has.
    pub(crate) fn length(&mut self) -> usize {
        if self.is_crowded { 24 + self.below(8) } else { 3 + self.below(9) }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize;
        high % bound.max(1)
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// Returns a value that fits a schema. Odd ones hold nulls, and items with one key.
    pub(crate) fn value(&mut self, schema: &Schema, is_odd: bool) -> Value {
        if is_odd && self.chance(4) {
            return Value::Null;
        }
        match schema.kind {
            Type::Boolean => json!(self.chance(50)),
            Type::Integer => {
                let least = schema.minimum.unwrap_or(0.0).max(0.0) as i64;
                let most = schema.maximum.map_or(least + 3, |most| (most as i64).min(least + 3));
                json!(least + self.below(usize::try_from(most - least + 1).unwrap_or(1)) as i64)
            }
            Type::String if !schema.values.is_empty() => json!(self.pick(&schema.values)),
            Type::String if schema.format.as_deref() == Some("date-time") => {
                json!(self.pick(&["2026-01-01T00:00:00Z", "2026-02-03T04:05:06Z"]))
            }
            Type::String => json!(self.text(schema)),
            Type::Array => self.list(schema, is_odd),
            Type::Object => self.object(schema, is_odd),
        }
    }

    fn text(&mut self, schema: &Schema) -> &'static str {
        let pattern = schema.pattern.as_ref().map_or("", |pattern| pattern.as_str());
        let texts: &[&str] = match pattern {
            r"^[0-9a-fA-F:.]+/[0-9]{1,3}$" => &["10.77.0.0/16", "10.78.0.0/24", "fd77:1::/64"],
            r"^[0-9]{1,5}(-[0-9]{1,5})?$" => &["80", "443", "8000-8010"],
            r"^([01][0-9]|2[0-4]):[0-5][0-9]$" => &["08:00", "18:30"],
            r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$" => &["UTC", "Europe/Berlin"],
            r"^\$argon2id\$v=19\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$" => {
                &["$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"]
            }
            r"^ed25519:[A-Za-z0-9+/]{43}=$" => &[
                "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                "ed25519:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=",
            ],
            r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$" => &["12h", "30m", "45s"],
            r"^[^@ ]+@[^@ ]+$" => &["a@example.net", "b@example.net"],
            r"^[0-9a-fA-F:.]+$" => &["10.77.0.1", "10.77.0.2", "fd77:1::1"],
            r"^sha256:[0-9a-f]{64}$" => {
                &["sha256:0000000000000000000000000000000000000000000000000000000000000000"]
            }
            _ => &["a", "b", "c"],
        };
        self.pick(texts)
    }

    fn list(&mut self, schema: &Schema, is_odd: bool) -> Value {
        let Some(items) = &schema.items else { return json!([]) };
        let least = schema.min_items.unwrap_or(0);
        let wanted = (least + self.below(4)).min(schema.max_items.unwrap_or(usize::MAX));
        let mut list: Vec<Value> = vec![];
        let mut seen = vec![];
        for _ in 0..wanted * 2 {
            if list.len() >= wanted {
                break;
            }
            let mut item = self.value(items, is_odd && schema.list == ListType::Atomic);
            // A key with a default may be left out.
            for key in &schema.list_keys {
                let has_default = items.properties.get(key).is_some_and(|field| field.default.is_some());
                if let Some(fields) = item.as_object_mut() {
                    match (fields.contains_key(key), items.properties.get(key)) {
                        (false, Some(field)) if !has_default || self.chance(60) => {
                            fields.insert(key.clone(), self.value(field, false));
                        }
                        _ => {}
                    }
                }
            }
            let default = |key: &String| items.properties.get(key).and_then(|field| field.default.clone());
            let identity = match schema.list {
                ListType::Atomic => None,
                ListType::Set => Some(item.clone()),
                ListType::Map => {
                    let keys =
                        schema.list_keys.iter().map(|key| item.get(key).cloned().or_else(|| default(key)));
                    Some(json!(keys.collect::<Vec<_>>()))
                }
            };
            let is_double = identity.as_ref().is_some_and(|identity| seen.contains(identity));
            if !is_double || (is_odd && self.chance(8)) {
                seen.extend(identity);
                list.push(item);
            }
        }
        Value::Array(list)
    }

    fn object(&mut self, schema: &Schema, is_odd: bool) -> Value {
        let mut fields = Map::new();
        let share = 10 + self.below(40);
        for (name, field) in &schema.properties {
            if schema.required.contains(name) || self.chance(share) {
                let is_required = schema.required.contains(name);
                fields.insert(name.clone(), self.value(field, is_odd && !is_required));
            }
        }
        if let Some(rest) = &schema.additional_properties {
            for _ in 0..self.below(4) {
                let name = self.pick(&["k1", "k2", "k3"]);
                fields.insert(name.to_owned(), self.value(rest, is_odd));
            }
        }
        Value::Object(fields)
    }

    /// Returns the next step, given whether the object exists.
    pub(crate) fn step(&mut self, definition: &Definition, exists: bool) -> Value {
        if !exists {
            return if self.chance(60) { self.apply(definition) } else { self.create(definition) };
        }
        if self.is_crowded && self.chance(70) {
            return self.merge(definition);
        }
        match self.below(100) {
            0..6 => self.odd_apply(definition),
            6..34 => self.apply(definition),
            34..44 if definition.resource.has_status => self.apply_status(definition),
            34..56 => self.put(definition),
            56..70 => self.merge(definition),
            70..80 => self.json(definition),
            80..84 => self.metadata(),
            84..86 => self.client_side_apply(definition),
            86..90 => self.odd_metadata(),
            90..94 => self.unknown(definition),
            94..96 => self.create(definition),
            _ => self.delete(),
        }
    }

    fn head() -> Value {
        json!({HEAD: 1, "metadata": {HEAD_NAME: 1}})
    }

    fn manager(&mut self) -> &'static str {
        if self.is_crowded {
            return self.pick(&[
                "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "n1", "n2", "n3", "n4", "n 5", "n<6",
            ]);
        }
        self.pick(&["alice", "bob", "carol", "kubectl", "controller"])
    }

    fn body(&mut self, definition: &Definition, part: &str, is_odd: bool) -> Value {
        let mut body = Self::head();
        for (name, field) in &definition.schema().properties {
            let is_ours = ["apiVersion", "kind", "metadata"].contains(&name.as_str());
            let is_wanted = match (part, name.as_str()) {
                ("status", "status") => true,
                ("status", _) => self.chance(5),
                (_, "status") => self.chance(if definition.resource.has_status { 5 } else { 60 }),
                (_, _) => true,
            };
            if !is_ours && is_wanted {
                body[name] = self.value(field, is_odd);
            }
        }
        if part != "status" || self.chance(10) {
            self.add_metadata(&mut body);
        }
        body
    }

    fn add_metadata(&mut self, body: &mut Value) {
        for name in ["labels", "annotations"] {
            if self.chance(30) {
                let keys = self.pick(&[&["x"] as &[&str], &["x", "y"], &["y", "z"], &[]]).iter();
                body["metadata"][name] =
                    keys.map(|key| ((*key).to_owned(), json!(self.pick(&["1", "2"])))).collect();
            }
        }
        if self.chance(12) {
            let names = self.pick(&[&["x.dev/a"] as &[&str], &["x.dev/a", "x.dev/b"], &["x.dev/b"], &[]]);
            body["metadata"]["finalizers"] = json!(names);
        }
        if self.chance(10) {
            let count = self.below(3);
            let owners = (0..count).map(|_| {
                let uid = self.pick(&["u1", "u2"]);
                json!({"apiVersion": "v1", "kind": "Thing", "name": self.pick(&["t", "s"]), "uid": uid})
            });
            body["metadata"]["ownerReferences"] = owners.collect();
        }
    }

    fn create(&mut self, definition: &Definition) -> Value {
        let is_odd = self.chance(20);
        let body = self.body(definition, "", is_odd);
        json!({"do": "create", "manager": self.manager(), "body": body})
    }

    fn apply(&mut self, definition: &Definition) -> Value {
        let is_odd = self.chance(25);
        let body = self.body(definition, "", is_odd);
        json!({"do": "apply", "manager": self.manager(), "force": self.chance(45), "body": body})
    }

    /// Returns what client-side `kubectl apply` sends: a patch, and in an annotation what was applied.
    fn client_side_apply(&mut self, definition: &Definition) -> Value {
        let mut body = self.body(definition, "", false);
        let mut config = body.clone();
        for part in [&mut config, &mut body] {
            part.as_object_mut().map(|part| part.remove(HEAD));
            part["metadata"] = json!({"name": "$NAME"});
        }
        config["apiVersion"] = json!(definition.resource.api_version());
        config["kind"] = json!(definition.resource.kind);
        let last = "kubectl.kubernetes.io/last-applied-configuration";
        body["metadata"]["annotations"] = json!({last: config.to_string()});
        json!({"do": "merge", "manager": "kubectl-client-side-apply", "body": body})
    }

    /// Returns an apply that the API server refuses, or nearly.
    fn odd_apply(&mut self, definition: &Definition) -> Value {
        let mut body = self.body(definition, "", false);
        match self.below(16) {
            0 => body["kind"] = json!("Other"),
            1 => body["apiVersion"] = json!("horizon.dev/v9"),
            2 => body["apiVersion"] = json!("v1"),
            3 => body["metadata"] = Value::Null,
            4 => body["metadata"] = json!({}),
            5 => body["metadata"]["uid"] = json!(self.pick(&["another", "$UID"])),
            6 => body["metadata"]["resourceVersion"] = json!(self.pick(&["1", "$RV", "x", ""])),
            7 => body["metadata"]["namespace"] = json!(self.pick(&["another", "default"])),
            8 => body["metadata"]["managedFields"] = self.pick(&[json!([]), json!([{}]), Value::Null]),
            9 => body["metadata"]["labels"] = self.pick(&[json!({"a": 1}), json!([]), Value::Null]),
            10 => body["spec"] = self.pick(&[json!("x"), json!([]), json!(1), Value::Null]),
            11 => body["metadata"]["name"] = json!("another"),
            12 => {
                body["metadata"]["finalizers"] =
                    self.pick(&[json!(["x.dev/a", "x.dev/a"]), json!([null]), json!("x")])
            }
            13 => {
                body["metadata"]["ownerReferences"] =
                    self.pick(&[json!([{}]), json!([{"uid": "u", "x": 1}]), json!([1])])
            }
            14 => body["spec"]["bogus"] = json!({"x": 1}),
            _ => body = self.pick(&[json!([]), json!("x"), json!({"kind": 1})]),
        }
        json!({"do": "apply", "manager": self.manager(), "force": self.chance(45), "body": body})
    }

    fn apply_status(&mut self, definition: &Definition) -> Value {
        let is_odd = self.chance(20);
        let body = self.body(definition, "status", is_odd);
        json!({"do": "apply", "part": "status", "manager": self.manager(), "force": self.chance(50), "body": body})
    }

    fn put(&mut self, definition: &Definition) -> Value {
        let part = if definition.resource.has_status && self.chance(30) { "status" } else { "" };
        let is_odd = self.chance(25);
        let mut body = self.body(definition, part, is_odd);
        if self.chance(6) {
            body["metadata"]["resourceVersion"] = json!(self.pick(&["1", "x", "0", ""]));
        }
        if self.chance(4) {
            body["metadata"]["uid"] = json!(self.pick(&["another", "$UID"]));
        }
        json!({"do": "put", "part": part, "manager": self.manager(), "keep": self.chance(60), "body": body})
    }

    fn merge(&mut self, definition: &Definition) -> Value {
        let part = if definition.resource.has_status && self.chance(25) { "status" } else { "" };
        let mut body = self.body(definition, part, true);
        body.as_object_mut().map(|body| body.remove(HEAD));
        json!({"do": "merge", "part": part, "manager": self.manager(), "body": body})
    }

    fn json(&mut self, definition: &Definition) -> Value {
        let whole = self.body(definition, "", false);
        let mut operations = vec![];
        for (name, value) in whole["spec"].as_object().into_iter().flatten().take(3) {
            let path = format!("/spec/{name}");
            operations.push(match self.below(6) {
                0 => json!({"op": "remove", "path": path}),
                1 => json!({"op": "test", "path": path, "value": value}),
                2 => json!({"op": "copy", "from": path, "path": path}),
                3 => json!({"op": "move", "from": path, "path": path}),
                4 => json!({"op": "add", "path": format!("{path}/-"), "value": value.get(0)}),
                _ => json!({"op": self.pick(&["add", "replace"]), "path": path, "value": value}),
            });
        }
        if self.chance(8) {
            operations.push(json!({"op": "frob"}));
        }
        let validation = self.pick(&["", "Strict", "Ignore"]);
        if self.chance(5) {
            operations.push(
                json!({"op": "test", "path": "/kind", "value": definition.resource.kind, "why": "nobody knows"}),
            );
        }
        json!({"do": "json", "manager": self.manager(), "validation": validation, "body": operations})
    }

    fn metadata(&mut self) -> Value {
        let body = match self.below(6) {
            0 => json!({"metadata": {"finalizers": ["x.dev/a"]}}),
            1 | 2 => json!({"metadata": {"finalizers": null}}),
            3 => json!({"metadata": {"labels": {"x": "9", "y": null}}}),
            4 => json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration":
                self.pick(&["{}", "nonsense"])}}}),
            _ => json!({"metadata": {"labels": null, "annotations": null}}),
        };
        json!({"do": "merge", "manager": self.manager(), "body": body})
    }

    fn odd_metadata(&mut self) -> Value {
        let body = self.pick(&[
            json!({"metadata": {"managedFields": [{}]}}),
            json!({"metadata": {"managedFields": []}}),
            json!({"metadata": {"managedFields": null}}),
            json!({"metadata": {"managedFields": [{"manager": "mine", "operation": "Update", "apiVersion": "v1"}]}}),
            json!({"metadata": {"name": "another"}}),
            json!({"metadata": {"namespace": "another"}}),
            json!({"metadata": {"uid": "another"}}),
            json!({"metadata": {"generation": 77, "creationTimestamp": "2020-01-01T00:00:00Z", "selfLink": "x"}}),
            json!({"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}),
            json!({"metadata": {"deletionGracePeriodSeconds": 5}}),
            json!({"metadata": {"labels": {"a b": "c"}, "annotations": {"a b": "c"}}}),
            json!({"metadata": {"labels": {"a": "not this"}}}),
            json!({"metadata": {"labels": {"a": 1}}}),
            json!({"metadata": {"labels": []}}),
            json!({"metadata": {"finalizers": ["short", "a.b", "x y"]}}),
            json!({"metadata": {"finalizers": ["x.dev/a", "x.dev/a"]}}),
            json!({"metadata": {"finalizers": ["orphan", "foregroundDeletion"]}}),
            json!({"metadata": {"resourceVersion": null}}),
            json!({"metadata": {"ownerReferences": [{"uid": "u"}]}}),
            json!({"metadata": null}),
            json!({"kind": "Other"}),
            json!({"kind": null}),
            json!({"apiVersion": "other/v1"}),
            json!([]),
            json!("x"),
            json!(null),
        ]);
        json!({"do": "merge", "manager": self.manager(), "body": body})
    }

    fn unknown(&mut self, definition: &Definition) -> Value {
        let is_odd = false;
        let mut body = self.body(definition, "", is_odd);
        // Of several mistakes, the API server tells one at random.
        body["metadata"].as_object_mut().map(|metadata| metadata.remove("ownerReferences"));
        let place = self.below(3);
        match place {
            0 => body["bogus"] = json!(1),
            1 => body["spec"]["bogus"] = json!({"x": 1}),
            _ => body["metadata"]["bogus"] = json!("x"),
        }
        let (what, validation) = (self.below(4), self.pick(&["Ignore", "Warn", "Strict"]));
        let name = ["apply", "put", "merge", "create"][what];
        json!({"do": name, "manager": self.manager(), "validation": validation, "keep": true, "force": true, "body": body})
    }

    fn delete(&mut self) -> Value {
        let body = self.pick(&[
            json!({}),
            json!({}),
            json!({"propagationPolicy": "Foreground"}),
            json!({"propagationPolicy": "Orphan"}),
            json!({"propagationPolicy": "Background"}),
            json!({"preconditions": {"uid": "another"}}),
            json!({"preconditions": {"uid": "$UID", "resourceVersion": "$RV"}}),
            json!({"preconditions": {"resourceVersion": "1"}}),
        ]);
        json!({"do": "delete", "body": body})
    }
}
