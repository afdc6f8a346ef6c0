//! Bodies in the protobuf of Kubernetes: clients in Go write the kinds of Kubernetes in no other form, so `kubectl
//! auth can-i` and `kubectl create namespace` need it. Our own kinds are never written in it.
//!
//! A body is `k8s\0` and a `runtime.Unknown` with the kind and its message. The messages are those of the
//! `generated.proto` files of Kubernetes; `openapi/known.txt` has their numbers.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    openapi::definition,
    openapi::known::{KnownType, META, Member, TYPES, full_name},
    refusal::Refusal,
    resource::Resource,
};

/// What stands in `Content-Type`.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Decodes a body into the object that JSON would have said.
///
/// # Errors
/// 400 for bytes that are no message, 415 for kinds that are not written in protobuf.
pub fn decode(body: &[u8]) -> Result<Value, Refusal> {
    let refused = |Malformed(why): Malformed| {
        Refusal::bad_request(format!("the body is no protobuf of Kubernetes: {why}"))
    };
    let message = body
        .strip_prefix(MAGIC)
        .ok_or_else(|| refused(Malformed("it must begin with k8s and a zero byte")))?;
    let envelope = Envelope::read(message).map_err(refused)?;
    let known = envelope
        .known()
        .ok_or_else(|| Refusal::unsupported_media_type(&["application/json", "application/yaml"]))?;
    let mut object = object(&known, envelope.raw).map_err(refused)?;
    object["apiVersion"] = envelope.api_version.into();
    object["kind"] = envelope.kind.into();
    Ok(object)
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed(&'static str);

/// A `runtime.Unknown`.
#[derive(Debug, Default)]
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut envelope = Self::default();
        let mut reader = Reader { rest: message };
        while let Some((number, field)) = reader.field()? {
            match (number, field) {
                (1, Field::Bytes(kind)) => {
                    let mut reader = Reader { rest: kind };
                    while let Some((number, field)) = reader.field()? {
                        match (number, field) {
                            (1, Field::Bytes(text)) => envelope.api_version = utf8(text)?,
                            (2, Field::Bytes(text)) => envelope.kind = utf8(text)?,
                            _ => {}
                        }
                    }
                }
                (2, Field::Bytes(raw)) => envelope.raw = raw,
                (3 | 4, Field::Bytes([_, ..])) => {
                    return Err(Malformed("its content is encoded in another way"));
                }
                _ => {}
            }
        }
        Ok(envelope)
    }

    /// Returns the full name of the type, if it is known.
    fn known(&self) -> Option<String> {
        if self.kind == "DeleteOptions" {
            return Some(format!("{META}.DeleteOptions"));
        }
        let is_meant =
            |resource: &&&Resource| resource.kind == self.kind && resource.api_version() == self.api_version;
        let name = definition::name(Resource::all().iter().find(is_meant)?);
        // Types without numbers, such as definitions, are only read.
        TYPES
            .get(&name)
            .filter(|known| known.members.iter().any(|member| member.number.is_some()))
            .map(|_| name)
    }
}

/// Decodes a message of a known type. Types do not contain themselves, so the depth is that of the longest chain.
fn object(name: &str, message: &[u8]) -> Result<Value, Malformed> {
    let known = TYPES.get(name).ok_or(Malformed("it refers to an unknown type"))?;
    let package = name.rsplit_once('.').map_or("", |(package, _)| package);
    let mut object = Map::new();
    let mut reader = Reader { rest: message };
    while let Some((number, field)) = reader.field()? {
        if let Some(member) = member(known, number) {
            insert(&mut object, member, package, field)?;
        }
    }
    Ok(Value::Object(object))
}

fn member(known: &KnownType, number: u64) -> Option<&Member> {
    known.members.iter().find(|member| member.number == Some(number))
}

fn insert(
    object: &mut Map<String, Value>,
    member: &Member,
    package: &str,
    field: Field<'_>,
) -> Result<(), Malformed> {
    let name = member.name.to_owned();
    if let Some(items) = inside(member.notation, '[', ']') {
        let item = value(items, package, field)?;
        if let Value::Array(items) = object.entry(name).or_insert_with(|| Value::Array(vec![])) {
            items.push(item);
        }
    } else if let Some(values) = inside(member.notation, '{', '}') {
        let (key, value) = entry(values, package, field)?;
        if let Value::Object(members) = object.entry(name).or_insert_with(|| Value::Object(Map::new())) {
            members.insert(key, value);
        }
    } else {
        let value = value(member.notation, package, field)?;
        // Writers in Go send empty texts and moments for what is not set; JSON would leave them out.
        if !value.is_null() && value.as_str() != Some("") {
            object.insert(name, value);
        }
    }
    Ok(())
}

fn inside(notation: &'static str, open: char, close: char) -> Option<&'static str> {
    notation.strip_prefix(open)?.strip_suffix(close)
}

/// Decodes an entry of a map: the key is a text.
fn entry(values: &'static str, package: &str, field: Field<'_>) -> Result<(String, Value), Malformed> {
    let mut reader = Reader { rest: field.bytes()? };
    let (mut key, mut found) = (String::new(), value(values, package, Field::Bytes(b""))?);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => key = utf8(field.bytes()?)?.to_owned(),
            2 => found = value(values, package, field)?,
            _ => {}
        }
    }
    Ok((key, found))
}

fn value(notation: &'static str, package: &str, field: Field<'_>) -> Result<Value, Malformed> {
    if let Some(items) = inside(notation, '[', ']') {
        // A list where only a message can stand is a message with one list.
        let mut reader = Reader { rest: field.bytes()? };
        let mut list = vec![];
        while let Some((_, field)) = reader.field()? {
            list.push(value(items, package, field)?);
        }
        return Ok(list.into());
    }
    if let Some(name) = notation.strip_prefix('$') {
        let name = full_name(name, package);
        return match name.strip_prefix(META) {
            Some(".Time" | ".MicroTime") => time(field.bytes()?),
            Some(".FieldsV1") => fields(field.bytes()?),
            _ => object(&name, field.bytes()?),
        };
    }
    match notation {
        "boolean" => Ok((field.number()? != 0).into()),
        "string:byte" => Ok(STANDARD.encode(field.bytes()?).into()),
        // Negative numbers are written as the unsigned ones with the same bits.
        _ if notation.starts_with("integer") => Ok(field.number()?.cast_signed().into()),
        _ => Ok(utf8(field.bytes()?)?.into()),
    }
}

/// Decodes a moment; null for one that is not set.
fn time(message: &[u8]) -> Result<Value, Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader { rest: message };
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => seconds = field.number()?.cast_signed(),
            2 => nanos = i32::try_from(field.number()?).map_err(|_| Malformed("a moment is out of range"))?,
            _ => {}
        }
    }
    if (seconds, nanos) == (0, 0) {
        return Ok(Value::Null);
    }
    let moment = Timestamp::new(seconds, nanos).map_err(|_| Malformed("a moment is out of range"))?;
    Ok(moment.to_string().into())
}

/// Decodes a set of fields, which is JSON inside.
fn fields(message: &[u8]) -> Result<Value, Malformed> {
    let mut reader = Reader { rest: message };
    while let Some((number, field)) = reader.field()? {
        if number == 1 {
            return serde_json::from_slice(field.bytes()?)
                .map_err(|_| Malformed("a set of fields is no JSON"));
        }
    }
    Ok(Value::Null)
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))
}

/// The content of a field.
#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn number(self) -> Result<u64, Malformed> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) => Err(Malformed("a number was expected")),
        }
    }

    fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(Malformed("a text or a message was expected")),
        }
    }
}

/// Reads field after field (Protocol Buffers, "Encoding").
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn field(&mut self) -> Result<Option<(u64, Field<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Bytes(self.take(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| TOO_SHORT)?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Bytes(self.take(4)?),
            _ => return Err(Malformed("a field has an unknown wire type")),
        };
        Ok(Some((key >> 3, field)))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(TOO_SHORT)?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number has more than ten bytes"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(TOO_SHORT)?;
        self.rest = rest;
        Ok(taken)
    }
}

const TOO_SHORT: Malformed = Malformed("it ends too early");

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `kubectl` 1.34 sent.
    const CAN_I: &str = "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a65637441636365\
                         737352657669657712520a100a0012001a0022002a0032003800420012340a320a066f666669636512036765741a0b68\
                         6f72697a6f6e2e64657622002a05757365727332067374617475733a05616c6963651a08080012001a0020001a002200";
    const WHOAMI: &str = "6b3873000a2d0a1861757468656e7469636174696f6e2e6b38732e696f2f7631121153656c665375626a656374526576\
                          696577121a0a100a0012001a0022002a0032003800420012060a040a0012001a002200";
    const NAMESPACE: &str = "6b3873000a0f0a02763112094e616d657370616365121e0a160a066f666669636512001a0022002a00320038004200\
                             12001a020a001a002200";
    const SECRET: &str = "6b3873000a0c0a027631120653656372657412360a190a036b657912001a066f666669636522002a0032003800420012\
                          0a0a0161120568656c6c6f120b0a0162120677c3b6726c641a001a002200";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn what_kubectl_sends_is_read() {
        let metadata = |name: Value| {
            let mut metadata = name;
            metadata["generation"] = 0.into();
            metadata
        };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "metadata": metadata(json!({})),
            "spec": { "resourceAttributes": {
                "namespace": "office", "verb": "get", "group": "horizon.dev", "resource": "users",
                "subresource": "status", "name": "alice",
            } },
            "status": { "allowed": false, "denied": false },
        });
        assert_eq!(decode(&bytes(CAN_I)), Ok(review));
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata(json!({ "name": "key", "namespace": "office" })),
            "data": { "a": "aGVsbG8=", "b": "d8O2cmxk" },
        });
        assert_eq!(decode(&bytes(SECRET)), Ok(secret));
        let namespace = decode(&bytes(NAMESPACE)).unwrap();
        assert_eq!(
            (&namespace["kind"], &namespace["metadata"]["name"]),
            (&json!("Namespace"), &json!("office"))
        );
        assert_eq!(decode(&bytes(WHOAMI)).unwrap()["status"]["userInfo"], json!({}));
    }

    #[test]
    fn moments_maps_and_negative_numbers_are_read() {
        // seconds 1764354225 and nanos 5000, as a MicroTime.
        assert_eq!(time(&bytes("08b1d1a7c906108827")), Ok(json!("2025-11-28T18:23:45.000005Z")));
        assert_eq!(time(b""), Ok(Value::Null));
        let minus_one = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let options = object(&format!("{META}.DeleteOptions"), &[&[0x08][..], &minus_one].concat()).unwrap();
        assert_eq!(options, json!({ "gracePeriodSeconds": -1 }));
        let user =
            object("io.k8s.api.authentication.v1.UserInfo", &bytes("220a0a016b12050a01610a00")).unwrap();
        assert_eq!(user, json!({ "extra": { "k": ["a", ""] } }));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let whole = bytes(SECRET);
        let refused = (0..whole.len()).filter(|end| decode(&whole[..*end]).is_err()).count();
        // The others end between two fields, where a message may end.
        assert!(refused > whole.len() - 10, "{refused} of {}", whole.len());
        assert_eq!(decode(b"{}").unwrap_err().code, 400);
        let ours =
            [MAGIC, &bytes("0a1c0a14686f72697a6f6e2e6465762f7631616c7068613112045573657212001a002200")]
                .concat();
        assert_eq!(decode(&ours).unwrap_err().code, 415);
    }
}
