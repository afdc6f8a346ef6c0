//! Fields, owners and conflicts, one case at a time. What an API server answers to many of them is replayed in
//! `tests/replay.rs`.

use horizon_planner::schema::Schema;
use serde_json::{Value, json};

use super::*;
use crate::managed::step::path_text;

const V1: &str = "test/v1";

/// A schema with every way in which lists and maps are merged.
fn schema() -> Schema {
    let text = json!({"type": "string"});
    serde_json::from_value(json!({"type": "object", "properties": {
        "apiVersion": text, "kind": text,
        "metadata": {"type": "object", "properties": {
            "name": text, "uid": text, "managedFields": {"type": "array", "items": {"type": "object"}},
            "annotations": {"type": "object", "additionalProperties": text},
        }},
        "spec": {"type": "object", "properties": {
            "name": text,
            "list": {"type": "array", "items": text},
            "set": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
            "map": {"type": "object", "additionalProperties": text},
            "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": text},
            "ports": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object", "properties": {
                    "port": {"type": "integer"}, "protocol": {"type": "string", "default": "Tcp"}, "name": text,
                }},
            },
        }},
    }}))
    .unwrap()
}

/// One object and those who write it.
struct Object {
    schema: Schema,
    live: Value,
    managed: ManagedFields,
}

impl Object {
    fn new() -> Self {
        let live = json!({"apiVersion": V1, "kind": "Test", "metadata": {"uid": "u"}});
        Self {
            schema: schema(),
            live: json!({"apiVersion": V1, "kind": "Test"}),
            managed: ManagedFields::default(),
        }
        .with_live(live)
    }

    fn with_live(mut self, live: Value) -> Self {
        self.live = live;
        self
    }

    fn writer(&self, who: Who) -> Writer<'_> {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Writer { shape: Shape::Of(&self.schema), who, ignored: FieldSet::default(), now }
    }

    /// Applies a spec. Returns what others own of it.
    fn apply(&mut self, manager: &str, spec: Value, force: bool) -> Result<(), Vec<String>> {
        let config = json!({"apiVersion": V1, "kind": "Test", "spec": spec});
        let writer = self.writer(Who::applier(manager, V1, ""));
        match apply(&writer, &self.live, &config, self.managed.clone(), force) {
            Ok(applied) => {
                (self.live, self.managed) = (applied.object, applied.managed);
                Ok(())
            }
            Err(NotApplied::Conflicts(conflicts)) => {
                Err(conflicts.iter().map(|conflict| path_text(&conflict.path)).collect())
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn update(&mut self, manager: &str, spec: Value) {
        let mut new = self.live.clone();
        new["spec"] = spec;
        let writer = self.writer(Who::updater(manager, V1, ""));
        self.managed = update(&writer, &self.live, &new, self.managed.clone()).unwrap();
        self.live = new;
    }

    fn owned(&self, manager: &str) -> Value {
        let owner = self.managed.iter().find(|(_, owner)| owner.who.manager == manager);
        owner.map_or(Value::Null, |(_, owner)| owner.fields.encode()["f:spec"].clone())
    }
}

#[test]
fn what_an_applier_no_longer_states_goes_unless_somebody_else_owns_it() {
    let mut object = Object::new();
    object
        .apply("a", json!({"name": "x", "map": {"one": "1", "two": "2"}, "set": ["p", "q"]}), false)
        .unwrap();
    object.apply("b", json!({"map": {"two": "2"}, "set": ["q"]}), false).unwrap();

    object.apply("a", json!({"name": "x"}), false).unwrap();

    assert_eq!(object.live["spec"], json!({"name": "x", "map": {"two": "2"}, "set": ["q"]}));
    assert_eq!(object.owned("a"), json!({"f:name": {}}));
}

#[test]
fn items_are_merged_by_their_keys_and_defaults_count() {
    let mut object = Object::new();
    object
        .apply("a", json!({"ports": [{"port": 80, "name": "web"}, {"port": 53, "protocol": "Udp"}]}), false)
        .unwrap();

    object.apply("b", json!({"ports": [{"port": 80, "protocol": "Tcp"}, {"port": 22}]}), false).unwrap();

    assert_eq!(
        object.live["spec"]["ports"],
        json!([{"port": 80, "name": "web", "protocol": "Tcp"}, {"port": 53, "protocol": "Udp"}, {"port": 22}])
    );
    let web = r#"k:{"port":80,"protocol":"Tcp"}"#;
    assert_eq!(object.owned("a")["f:ports"][web], json!({".": {}, "f:port": {}, "f:name": {}}));
    assert_eq!(object.owned("b")["f:ports"][web], json!({".": {}, "f:port": {}, "f:protocol": {}}));
}

#[test]
fn atomic_lists_and_maps_are_one_piece() {
    let mut object = Object::new();
    object.apply("a", json!({"list": ["x"], "whole": {"k": "1"}}), false).unwrap();

    let conflicts = object.apply("b", json!({"list": ["x", "y"], "whole": {"k": "1", "l": "2"}}), false);

    assert_eq!(conflicts, Err(vec![".spec.list".to_owned(), ".spec.whole".to_owned()]));
    assert_eq!(object.owned("a"), json!({"f:list": {}, "f:whole": {}}));
}

#[test]
fn force_takes_fields_and_sharing_takes_none() {
    let mut object = Object::new();
    object.apply("a", json!({"name": "x"}), false).unwrap();
    object.apply("b", json!({"name": "x"}), false).unwrap();
    assert_eq!((object.owned("a"), object.owned("b")), (json!({"f:name": {}}), json!({"f:name": {}})));

    assert!(object.apply("b", json!({"name": "y"}), false).is_err());
    object.apply("b", json!({"name": "y"}), true).unwrap();

    assert_eq!((object.owned("a"), object.owned("b")), (Value::Null, json!({"f:name": {}})));
}

#[test]
fn an_update_owns_what_it_changes() {
    let mut object = Object::new();
    object.apply("a", json!({"name": "x", "map": {"one": "1"}}), false).unwrap();

    object.update("hand", json!({"name": "y", "map": {"one": "1", "two": "2"}}));

    assert_eq!(object.owned("a"), json!({"f:map": {"f:one": {}}}));
    assert_eq!(object.owned("hand"), json!({"f:name": {}, "f:map": {"f:two": {}}}));
    assert_eq!(object.apply("a", json!({"name": "x"}), false), Err(vec![".spec.name".to_owned()]));
}

#[test]
fn an_object_without_owners_belongs_to_who_wrote_before_the_first_apply() {
    let live = json!({"apiVersion": V1, "kind": "Test", "metadata": {"uid": "u"}, "spec": {"name": "x", "list": []}});
    let mut object = Object::new().with_live(live);

    assert_eq!(object.apply("a", json!({"name": "y"}), false), Err(vec![".spec.name".to_owned()]));
    object.apply("a", json!({"name": "y"}), true).unwrap();

    assert_eq!(object.owned("before-first-apply"), json!({".": {}, "f:list": {}}));
    assert_eq!(object.owned("a"), json!({"f:name": {}}));
}

#[test]
fn applying_the_same_again_changes_nothing() {
    let mut object = Object::new();
    object.apply("a", json!({"name": "x", "ports": [{"port": 1}]}), false).unwrap();
    let before = (object.live.clone(), object.managed.clone());

    object.apply("a", json!({"name": "x", "ports": [{"port": 1}]}), false).unwrap();

    assert_eq!((object.live, object.managed), before);
}

#[test]
fn the_applied_order_of_items_wins_and_others_stay_where_they_can() {
    let mut object = Object::new();
    object.update("hand", json!({"set": ["a", "b", "c", "d"]}));

    object.apply("a", json!({"set": ["c", "x", "b"]}), true).unwrap();

    assert_eq!(object.live["spec"]["set"], json!(["a", "c", "d", "x", "b"]));
}

#[test]
fn parts_of_what_has_become_one_piece_become_the_piece() {
    let mut object = Object::new();
    object.apply("a", json!({"map": {"one": "1"}, "set": ["x"]}), false).unwrap();
    let spec = object.schema.properties.get_mut("spec").unwrap();
    spec.properties.get_mut("map").unwrap().map_type = "atomic".to_owned();
    spec.properties.get_mut("set").unwrap().list = horizon_planner::schema::ListType::Atomic;

    object.update("hand", json!({"map": {"one": "1"}, "set": ["x"], "name": "y"}));

    assert_eq!(object.owned("a"), json!({"f:map": {}, "f:set": {}}));
}

#[test]
fn several_conflicts_are_told_by_owner() {
    let mut object = Object::new();
    object.apply("b", json!({"name": "x"}), false).unwrap();
    object.update("hand", json!({"name": "x", "list": ["y"], "map": {"k": "v"}}));
    let config =
        json!({"apiVersion": V1, "kind": "Test", "spec": {"name": "z", "list": [], "map": {"k": "w"}}});

    let refused = apply(
        &object.writer(Who::applier("a", V1, "")),
        &object.live,
        &config,
        object.managed.clone(),
        false,
    );

    let Err(NotApplied::Conflicts(conflicts)) = refused else { panic!("{refused:?}") };
    let refusal = conflict::refuse(&conflicts);
    assert_eq!(
        refusal.message,
        "Apply failed with 3 conflicts: conflicts with \"b\":\n- .spec.name\nconflicts with \"hand\" using test/v1:\n- \
         .spec.list\n- .spec.map.k"
    );
    assert_eq!((refusal.code, refusal.causes().len()), (409, 3));
    assert_eq!(refusal.causes()[0].message, "conflict with \"b\"");
}

#[test]
fn a_long_list_is_merged_in_the_time_that_its_length_takes() {
    let items = |count: u32| -> Value { (0..count).map(|n| format!("item-{n}")).collect() };
    let mut object = Object::new();
    object.apply("a", json!({"set": items(20_000)}), false).unwrap();
    let start = std::time::Instant::now();

    object.apply("b", json!({"set": items(20_000)}), false).unwrap();

    // Quadratic time would be minutes.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn keys_of_items_that_are_maps_or_lists_are_refused_as_their_schema_says() {
    for (key, why) in [
        (
            json!({"b": 1, "a": 2}),
            ".spec.ports[port=a=2b=1,protocol=\"Tcp\"].port: expected numeric (int or float), got map[string]interface {}",
        ),
        (
            json!([1]),
            ".spec.ports[port=[1],protocol=\"Tcp\"].port: expected numeric (int or float), got []interface {}",
        ),
    ] {
        let mut object = Object::new();
        object.apply("a", json!({"name": "x"}), false).unwrap();
        let config = json!({"apiVersion": V1, "kind": "Test", "spec": {"ports": [{"port": key}]}});
        let writer = object.writer(Who::applier("a", V1, ""));

        let refused = apply(&writer, &object.live, &config, object.managed.clone(), false);

        let Err(NotApplied::Unfit(found)) = refused else { panic!("{refused:?}") };
        assert_eq!(found, why);
        // An update of it has no owners: validation refuses it.
        assert_eq!(update(&writer, &object.live, &config, object.managed.clone()), None);
    }
}
