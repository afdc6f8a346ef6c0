//! In which form to answer: reads `Accept`, and knows what is written here.
//!
//! Clauses are tried from the most wanted to the least; one that asks for what is not written is passed over, so that
//! an old client gets what it can read. Words and choices are those of `apiserver/pkg/endpoints/handlers/negotiation`.

use std::collections::BTreeMap;

use crate::{query::Query, refusal::Refusal, status};

/// How the bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Yaml,
}

/// As what an object or a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As it is.
    Whole,
    /// As rows with columns.
    Table(MetaVersion),
    /// Only its metadata.
    Metadata(MetaVersion),
    /// Only the metadata of the objects of a list.
    MetadataList(MetaVersion),
}

/// The version of `meta.k8s.io` that a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaVersion {
    V1,
    V1beta1,
}

/// What was agreed on for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    pub encoding: Encoding,
    pub view: View,
    /// Whether people read it: indented.
    pub is_pretty: bool,
}

/// What was agreed on for `/api` and `/apis`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// One document for each group version.
    Plain(Encoding),
    /// Everything in one document, of this version of `apidiscovery.k8s.io`.
    Aggregated(AggregatedVersion),
}

/// The version of `apidiscovery.k8s.io` that a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregatedVersion {
    V2,
    /// What clients of Kubernetes 1.26 to 1.29 read; the same fields.
    V2beta1,
}

/// What was agreed on for `/openapi/v2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenApi {
    Json,
    /// The messages of gnostic's `OpenAPIv2.proto`: what `kubectl` asks for.
    Protobuf,
}

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const JSON_WATCH: &str = "application/json;stream=watch";
/// The media type that OpenAPI v2 is asked for in protobuf with.
const OPENAPI_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// The same type as it is answered with: `@` is not allowed in a media type (RFC 6838 §4.2).
const OPENAPI_PROTOBUF_ANSWERED: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

impl Form {
    /// Agrees on the form of an object or a list.
    ///
    /// # Errors
    /// 406 that names what is written.
    pub fn of_resource(accept: &str, is_pretty: bool) -> Result<Self, Refusal> {
        agree(accept, is_pretty, false).ok_or_else(|| status::not_acceptable(&[JSON, YAML]))
    }

    /// Agrees on the form of the events of a watch: JSON, one event a line.
    ///
    /// # Errors
    /// 406 that names what is written.
    pub fn of_watch(accept: &str) -> Result<Self, Refusal> {
        agree(accept, false, true)
            .filter(|form| form.encoding == Encoding::Json)
            .ok_or_else(|| status::not_acceptable(&[JSON_WATCH]))
    }

    /// Agrees on the form of a refusal, which must be written even where nothing was agreed on.
    pub fn of_refusal(accept: &str, is_pretty: bool) -> Self {
        let plain = Self { encoding: Encoding::Json, view: View::Whole, is_pretty };
        agree(accept, is_pretty, false).map_or(plain, |form| Self { view: View::Whole, ..form })
    }
}

fn agree(accept: &str, is_pretty: bool, is_watch: bool) -> Option<Form> {
    if accept.trim().is_empty() {
        return Some(Form { encoding: Encoding::Json, view: View::Whole, is_pretty });
    }
    let clauses = clauses(accept);
    clauses.iter().find_map(|clause| {
        let encoding = clause.encoding()?;
        let view = clause.view()?;
        let streams = clause.parameter("stream");
        if !matches!(streams, "" | "watch") || (streams == "watch" && encoding == Encoding::Yaml) {
            return None;
        }
        let is_pretty = !is_watch && (is_pretty || clause.parameter("pretty") == "1");
        Some(Form { encoding, view, is_pretty })
    })
}

impl Encoding {
    /// Returns what stands in `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Yaml => YAML,
        }
    }

    /// Writes a document.
    pub fn write(self, document: &serde_json::Value, is_pretty: bool) -> Vec<u8> {
        let written = match self {
            Self::Json if is_pretty => serde_json::to_vec_pretty(document),
            Self::Json => serde_json::to_vec(document),
            Self::Yaml => return yaml(document),
        };
        written.expect("a document of JSON values has only texts as keys")
    }
}

fn yaml(document: &serde_json::Value) -> Vec<u8> {
    let written = serde_yaml::to_string(document);
    written.expect("a document of JSON values has only texts as keys").into_bytes()
}

impl Discovery {
    /// Agrees on the form of `/api` and `/apis`.
    ///
    /// # Errors
    /// 406 that names what is written.
    pub fn negotiate(accept: &str) -> Result<Self, Refusal> {
        if accept.trim().is_empty() {
            return Ok(Self::Plain(Encoding::Json));
        }
        let found = clauses(accept).iter().find_map(|clause| {
            let asked = ["g", "v", "as"].map(|name| clause.parameter(name));
            match asked {
                ["", "", ""] => Some(Self::Plain(clause.encoding()?)),
                ["apidiscovery.k8s.io", version, "APIGroupDiscoveryList"] if clause.is_json() => {
                    match version {
                        "v2" => Some(Self::Aggregated(AggregatedVersion::V2)),
                        "v2beta1" => Some(Self::Aggregated(AggregatedVersion::V2beta1)),
                        _ => None,
                    }
                }
                _ => None,
            }
        });
        found.ok_or_else(|| status::not_acceptable(&[JSON, YAML]))
    }

    /// Returns what stands in `Content-Type`; clients of aggregated discovery look at the parameters.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Plain(encoding) => encoding.content_type(),
            Self::Aggregated(AggregatedVersion::V2) => {
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            }
            Self::Aggregated(AggregatedVersion::V2beta1) => {
                "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
            }
        }
    }
}

impl AggregatedVersion {
    /// Returns the word in `apiVersion`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V2beta1 => "v2beta1",
        }
    }
}

impl MetaVersion {
    /// Returns the word in `apiVersion`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1beta1 => "v1beta1",
        }
    }
}

impl OpenApi {
    /// Agrees on the form of `/openapi/v2`.
    ///
    /// # Errors
    /// 406 that names what is written.
    pub fn negotiate(accept: &str) -> Result<Self, Refusal> {
        if accept.trim().is_empty() {
            return Ok(Self::Json);
        }
        let found = clauses(accept).iter().find_map(|clause| {
            let name = format!("{}/{}", clause.kind, clause.subtype);
            match name.as_str() {
                OPENAPI_PROTOBUF | OPENAPI_PROTOBUF_ANSWERED => Some(Self::Protobuf),
                _ if clause.is_json() => Some(Self::Json),
                _ => None,
            }
        });
        found.ok_or_else(|| status::not_acceptable(&[JSON, OPENAPI_PROTOBUF]))
    }

    /// Returns what stands in `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Protobuf => OPENAPI_PROTOBUF_ANSWERED,
        }
    }
}

/// Says whether people read the answer: `pretty=` says so, else the program that asks.
pub fn is_pretty(query: &Query, user_agent: &str) -> bool {
    match query.text("pretty") {
        "" => ["curl", "Wget", "Mozilla/5.0"].iter().any(|program| user_agent.starts_with(program)),
        text => matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"),
    }
}

/// One part of `Accept` (RFC 9110 §12.5.1).
#[derive(Debug)]
struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    parameters: BTreeMap<&'a str, &'a str>,
}

impl Clause<'_> {
    fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).copied().unwrap_or_default()
    }

    fn is_json(&self) -> bool {
        matches!((self.kind, self.subtype), ("application", "json" | "*") | ("*", "*"))
    }

    fn encoding(&self) -> Option<Encoding> {
        match (self.kind, self.subtype) {
            _ if self.is_json() => Some(Encoding::Json),
            ("application", "yaml") => Some(Encoding::Yaml),
            _ => None,
        }
    }

    /// Returns what the clause wants to see, if that is shown here.
    fn view(&self) -> Option<View> {
        if !self.parameter("sv").is_empty() {
            return None;
        }
        let [group, version, kind] = ["g", "v", "as"].map(|name| self.parameter(name));
        let version = match (group, version, kind) {
            ("", "", "") => return Some(View::Whole),
            ("meta.k8s.io", "v1", _) => MetaVersion::V1,
            ("meta.k8s.io", "v1beta1", _) => MetaVersion::V1beta1,
            _ => return None,
        };
        match kind {
            "Table" => Some(View::Table(version)),
            "PartialObjectMetadata" => Some(View::Metadata(version)),
            "PartialObjectMetadataList" => Some(View::MetadataList(version)),
            _ => None,
        }
    }
}

/// Returns the clauses, most wanted first; of equally wanted ones a certain type goes before any.
fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let mut weighed: Vec<(u32, bool, Clause<'_>)> = accept.split(',').filter_map(clause).collect();
    weighed.sort_by_key(|(thousandths, is_any, _)| (std::cmp::Reverse(*thousandths), *is_any));
    weighed.into_iter().map(|(_, _, clause)| clause).collect()
}

fn clause(text: &str) -> Option<(u32, bool, Clause<'_>)> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subtype) = match parts.next()? {
        "*" => ("*", "*"),
        range => range.split_once('/')?,
    };
    let mut thousandths = 1000;
    let mut parameters = BTreeMap::new();
    for part in parts {
        let Some((name, value)) = part.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name == "q" {
            thousandths = weight(value);
        } else {
            parameters.insert(name, value);
        }
    }
    let clause = Clause { kind: kind.trim(), subtype: subtype.trim(), parameters };
    (thousandths > 0).then_some((thousandths, kind == "*" || subtype == "*", clause))
}

/// Reads a weight between 0 and 1 in thousandths; what is none counts as 1.
fn weight(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse::<u32>()) {
        ("0" | "", Ok(thousandths)) => thousandths,
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kubectl get` of 1.34 sends.
    const KUBECTL_GET: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;\
                               g=meta.k8s.io,application/json";

    fn view(accept: &str) -> (Encoding, View) {
        let form = Form::of_resource(accept, false).unwrap();
        (form.encoding, form.view)
    }

    #[test]
    fn the_most_wanted_form_is_taken() {
        for (accept, expected) in [
            ("", (Encoding::Json, View::Whole)),
            ("*/*", (Encoding::Json, View::Whole)),
            ("application/*", (Encoding::Json, View::Whole)),
            ("application/yaml", (Encoding::Yaml, View::Whole)),
            (KUBECTL_GET, (Encoding::Json, View::Table(MetaVersion::V1))),
            ("application/json;q=0.5, application/yaml", (Encoding::Yaml, View::Whole)),
            ("*/*, application/yaml", (Encoding::Yaml, View::Whole)),
            ("application/vnd.kubernetes.protobuf,application/json", (Encoding::Json, View::Whole)),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                (Encoding::Json, View::MetadataList(MetaVersion::V1)),
            ),
            ("application/json;as=Chart;g=meta.k8s.io;v=v1, application/json", (Encoding::Json, View::Whole)),
        ] {
            assert_eq!(view(accept), expected, "{accept}");
        }
    }

    #[test]
    fn what_is_not_written_is_refused_with_what_is() {
        for accept in ["text/html", "application/json;as=Table;v=v9;g=meta.k8s.io", "application/json;q=0"] {
            let refusal = Form::of_resource(accept, false).unwrap_err();
            let sentence = "only the following media types are accepted: application/json, application/yaml";
            assert_eq!((refusal.code, refusal.message.as_str()), (406, sentence), "{accept}");
        }
        assert_eq!(Form::of_watch("application/yaml").unwrap_err().code, 406);
        assert!(Form::of_watch("application/json;stream=watch").is_ok());
        assert_eq!(Form::of_refusal("text/html", false).encoding, Encoding::Json);
    }

    #[test]
    fn a_watch_has_the_views_of_a_resource_on_one_line_each() {
        let form = |accept: &str| Form::of_watch(accept).unwrap();

        assert_eq!(form(KUBECTL_GET).view, View::Table(MetaVersion::V1));
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
                        application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
        assert_eq!(form(metadata).view, View::Metadata(MetaVersion::V1));
        assert!(!form("application/json;as=Table;g=meta.k8s.io;v=v1;pretty=1").is_pretty);
    }

    #[test]
    fn discovery_is_aggregated_for_those_who_read_it() {
        let new = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;\
                   g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        for (accept, expected) in [
            (new, Discovery::Aggregated(AggregatedVersion::V2)),
            ("application/json, */*", Discovery::Plain(Encoding::Json)),
            (
                "application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,application/json",
                Discovery::Plain(Encoding::Json),
            ),
        ] {
            assert_eq!(Discovery::negotiate(accept), Ok(expected), "{accept}");
        }
    }

    #[test]
    fn openapi_is_protobuf_for_kubectl() {
        assert_eq!(OpenApi::negotiate(OPENAPI_PROTOBUF), Ok(OpenApi::Protobuf));
        assert_eq!(OpenApi::negotiate("application/json, */*"), Ok(OpenApi::Json));
        assert_eq!(OpenApi::negotiate("text/plain").unwrap_err().code, 406);
    }

    #[test]
    fn people_get_lines() {
        let query = |text| Query::parse(text).unwrap();

        assert!(is_pretty(&query("pretty=true"), ""));
        assert!(is_pretty(&query(""), "curl/8"));
        assert!(!is_pretty(&query("pretty=0"), "curl/8"));
        let document = serde_json::json!({ "a": [1] });
        assert_eq!(Encoding::Json.write(&document, true), b"{\n  \"a\": [\n    1\n  ]\n}");
        assert_eq!(Encoding::Yaml.write(&document, false), b"a:\n- 1\n");
    }
}
