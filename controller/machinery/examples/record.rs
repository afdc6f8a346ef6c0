//! Records what a real API server answers to random sequences of writes, and compares it with our code on the way.
//!
//! `scripts/kubernetes` prints a folder with the programs; with a `kubectl proxy --port PORT` in front of the API
//! server: `cargo run -p horizon-machinery --example record -- 127.0.0.1:PORT SEQUENCES [WRITE-INTO-FOLDER] [FIRST-SEED]`.
#![allow(clippy::print_stdout, reason = "a program for developers")]

use std::{env, error::Error, fs, process::ExitCode, sync::Mutex, thread, time::Duration};

use horizon_api::resource::Kind;
use horizon_machinery::{definition::Definition, resource::Resource};
use horizon_planner::schema::custom_resource_definition;
use jiff::Timestamp;
use serde_json::{Value, json};

use play::{NAME, NAMESPACE, Player, difference};
use random::Random;

#[path = "record/http.rs"]
mod http;
#[path = "../tests/replay/play.rs"]
mod play;
#[path = "record/random.rs"]
mod random;

type Problem = Box<dyn Error + Send + Sync>;

/// Sequences at one time; they wait more than they work.
const THREADS: usize = 24;

fn main() -> ExitCode {
    match run(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Records; says whether our code gave the same answers.
fn run(arguments: &[String]) -> Result<bool, Problem> {
    let [proxy, count, rest @ ..] = arguments else {
        return Err("usage: record HOST:PORT SEQUENCES [FOLDER] [SEED]".into());
    };
    let count: u64 = count.parse()?;
    let first: u64 = rest.get(1).map_or(Ok(1), |seed| seed.parse())?;
    let mut is_same = true;
    let own: Vec<String> = Kind::ALL.into_iter().map(|kind| kind.plural().to_owned()).collect();
    let shapes = vec!["samples".to_owned(), "samples".to_owned(), "plains".to_owned()];
    for (record, kinds) in [("shapes", shapes), ("kinds", own)] {
        let definitions: Vec<Definition> =
            kinds.iter().map(|kind| install(proxy, kind)).collect::<Result<_, _>>()?;
        let seeds: Mutex<Vec<u64>> = Mutex::new((first..first + count).rev().collect());
        let lines: Mutex<Vec<(u64, String)>> = Mutex::new(vec![]);
        let failures: Mutex<Vec<String>> = Mutex::new(vec![]);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    loop {
                        // Let go of the lock before the work.
                        let seed = seeds.lock().expect("no thread panics with it").pop();
                        let Some(seed) = seed else { return };
                        let definition = &definitions[usize::try_from(seed).unwrap_or(0) % definitions.len()];
                        // A second that passes within a request looks like a difference; it does not pass twice.
                        let again = || sequence(proxy, definition, seed);
                        let found =
                            again().and_then(|found| if found.1.is_some() { again() } else { Ok(found) });
                        match found {
                            Ok((line, None)) => {
                                lines.lock().expect("no thread panics with it").push((seed, line))
                            }
                            Ok((_, Some(why))) => {
                                failures.lock().expect("no thread panics with it").push(why)
                            }
                            Err(why) => failures
                                .lock()
                                .expect("no thread panics with it")
                                .push(format!("{seed}: {why}")),
                        }
                    }
                });
            }
        });
        let (mut lines, failures) = (lines.into_inner()?, failures.into_inner()?);
        println!("{record}: {} sequences alike, {} differ", lines.len(), failures.len());
        failures.iter().take(6).for_each(|why| println!("{why}\n"));
        is_same &= failures.is_empty();
        if let Some(folder) = rest.first().filter(|folder| !folder.is_empty()) {
            lines.sort();
            let text: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
            fs::write(format!("{folder}/{record}.json"), text)?;
        }
    }
    Ok(is_same)
}

/// Puts a definition into the API server, without the rules that need all of an object to be right.
fn install(proxy: &str, plural: &str) -> Result<Definition, Problem> {
    let own = Kind::ALL.into_iter().find(|kind| kind.plural() == plural);
    let mut crd = match (own, plural) {
        (Some(kind), _) => custom_resource_definition(kind),
        (None, "samples") => serde_json::from_str(include_str!("../tests/replay/samples.json"))?,
        (None, _) => serde_json::from_str(include_str!("../tests/replay/plains.json"))?,
    };
    let definition = Definition::from_crd(crd.clone())?;
    without_rules(&mut crd);
    let name = crd["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let path = format!(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}?fieldManager=record&force=true"
    );
    let answer = http::request(proxy, "PATCH", &path, "application/apply-patch+yaml", &crd.to_string())?;
    if answer.code >= 300 {
        return Err(format!("install {plural}: {}", answer.body).into());
    }
    let list = list_path(&definition);
    for _ in 0..100 {
        if http::request(proxy, "GET", &list, "application/json", "").is_ok_and(|answer| answer.code == 200) {
            return Ok(definition);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err(format!("{plural} are not served").into())
}

fn without_rules(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("x-kubernetes-validations");
            fields.values_mut().for_each(without_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(without_rules),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn list_path(definition: &Definition) -> String {
    let Resource { group, version, plural, .. } = &definition.resource;
    format!("/apis/{group}/{version}/namespaces/{NAMESPACE}/{plural}")
}

/// Records one sequence. Returns its line, and what our code does otherwise.
fn sequence(proxy: &str, definition: &Definition, seed: u64) -> Result<(String, Option<String>), Problem> {
    let name = format!("r{seed}");
    clean(proxy, definition, &name)?;
    let mut random = Random::new(seed);
    let start = Timestamp::from_second(Timestamp::now().as_second())?;
    // The real object, to write bodies from, and ours.
    let mut real = Player::new(definition, &name, start);
    let mut ours = Player::new(definition, NAME, start);
    let mut steps = vec![];
    let mut shown = Value::Null;
    for index in 0..random.length() {
        let mut step = random.step(definition, real.stored.is_some());
        if random.chance(25) {
            thread::sleep(Duration::from_millis(300 + 100 * random.below(12) as u64));
        }
        let (mut answer, now) = send(proxy, &mut real, &step)?;
        // The API server stores what an apply leaves empty, such as `labels: {}`, and drops it when it reads: the next
        // write that changes nothing makes a new version of the same object. Ours does not.
        if answer["changed"] == json!(true) && answer["object"] == shown {
            answer["changed"] = json!(false);
        }
        let is_invalid = answer["invalid"] == json!(true);
        let got = ours.play(&step, now, is_invalid);
        let is_alike = if is_invalid { got["code"] == json!(422) } else { got == answer };
        if !is_alike {
            clean(proxy, definition, &name)?;
            let change = difference(&answer, &got).unwrap_or_default();
            return Ok((
                String::new(),
                Some(format!(
                    "{} seed {seed} step {index}: {step}\nbefore: {shown}\nreal answer: {answer}\nours differs by: {change}",
                    definition.resource.plural
                )),
            ));
        }
        let mut record = answer;
        if let Some(object) = record.as_object_mut().and_then(|record| record.remove("object")) {
            if let Some(change) = difference(&shown, &object) {
                record["change"] = change;
            } else {
                record["change"] = json!({});
            }
            shown = object;
        }
        step["at"] = json!(now.as_second() - start.as_second());
        step["answer"] = record;
        steps.push(step);
    }
    clean(proxy, definition, &name)?;
    let line = json!({"seed": seed, "kind": definition.resource.plural, "steps": steps});
    Ok((line.to_string(), None))
}

fn clean(proxy: &str, definition: &Definition, name: &str) -> Result<(), Problem> {
    let path = format!("{}/{name}", list_path(definition));
    let free = r#"{"metadata":{"finalizers":null}}"#;
    http::request(proxy, "PATCH", &path, "application/merge-patch+json", free)?;
    http::request(proxy, "DELETE", &path, "application/json", "{}")?;
    http::request(proxy, "PATCH", &path, "application/merge-patch+json", free)?;
    Ok(())
}

/// Sends a step to the API server. Returns the answer as it is compared, and the second in which it was made.
fn send(proxy: &str, real: &mut Player<'_>, step: &Value) -> Result<(Value, Timestamp), Problem> {
    let text = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default();
    let (method, media_type) = match text("do") {
        "create" => ("POST", "application/json"),
        "put" => ("PUT", "application/json"),
        "json" => ("PATCH", "application/json-patch+json"),
        "merge" => ("PATCH", "application/merge-patch+json"),
        "delete" => ("DELETE", "application/json"),
        _ => ("PATCH", "application/apply-patch+yaml"),
    };
    let mut path = list_path(real.definition);
    if text("do") != "create" {
        path = format!("{path}/{}", real.name);
    }
    if text("part") == "status" {
        path += "/status";
    }
    let manager = text("manager").replace(' ', "%20").replace('<', "%3C");
    path += &format!("?fieldManager={manager}&fieldValidation={}", text("validation"));
    if text("do") == "apply" && step["force"] == json!(true) {
        path += "&force=true";
    }
    if text("do") == "delete" {
        path = path.split('?').next().unwrap_or_default().to_owned();
    }
    let before = Timestamp::now();
    let answer = http::request(proxy, method, &path, media_type, &real.body(step).to_string())?;
    let after = Timestamp::now();
    let now = second_of(&answer.body, before, after)?;
    let of_stored = |name: &str| {
        let stored = real.stored.as_ref().and_then(|stored| stored["metadata"][name].as_str());
        stored.map(str::to_owned)
    };
    if answer.body["kind"] == json!("Status") && answer.code >= 300 {
        let body = &answer.body;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let causes = body["details"]["causes"].as_array().cloned().unwrap_or_default();
        let causes: Vec<Value> = causes
            .iter()
            .map(|c| json!([text(&c["reason"]), text(&c["message"]), text(&c["field"])]))
            .collect();
        // What validation finds in the content is not played.
        let is_content = |field: &str| ["spec", "status", "top"].iter().any(|part| field.starts_with(part));
        if answer.code == 422 && causes.iter().any(|cause| is_content(cause[2].as_str().unwrap_or_default()))
        {
            return Ok((json!({"code": 422, "invalid": true}), now));
        }
        let (uid, version) = (of_stored("uid"), of_stored("resourceVersion"));
        let (reason, message) = (text(&body["reason"]), text(&body["message"]));
        return Ok((play::refused(answer.code, &reason, &message, causes, uid, version, &real.name), now));
    }
    if answer.body["kind"] == json!("Status") {
        real.stored = None;
        return Ok((json!({"code": answer.code}), now));
    }
    let object = answer.body;
    let is_changed =
        object["metadata"]["resourceVersion"].as_str().map(str::to_owned) != of_stored("resourceVersion");
    let is_gone =
        object["metadata"]["deletionTimestamp"].is_string() && object["metadata"]["finalizers"].is_null();
    let portable = play::portable_object(&object, real.start);
    real.stored = (!is_gone).then_some(object);
    Ok((play::answer(answer.code, portable, is_changed, &answer.warnings), now))
}

/// Returns the second in which the API server worked: what it wrote says so, if it wrote any time.
fn second_of(object: &Value, before: Timestamp, after: Timestamp) -> Result<Timestamp, Problem> {
    let metadata = &object["metadata"];
    let entries = metadata["managedFields"].as_array().cloned().unwrap_or_default();
    let mut times: Vec<Value> = entries.iter().map(|entry| entry["time"].clone()).collect();
    times.extend([metadata["creationTimestamp"].clone(), metadata["deletionTimestamp"].clone()]);
    let seconds =
        times.iter().filter_map(|time| time.as_str()?.parse::<Timestamp>().ok()).map(Timestamp::as_second);
    let within = seconds.filter(|second| (before.as_second()..=after.as_second()).contains(second));
    Ok(Timestamp::from_second(within.max().unwrap_or(before.as_second()))?)
}
